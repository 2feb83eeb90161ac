#!/bin/sh
# Puts promtool, out of Debian's package prometheus, under build/promtool, installing nothing. Ends well in any
# case: where it can't be had, build/promtool/reason says why, and the tests that need it are skipped with that
# reason.
set -u
cd "$(dirname "$0")/../.."
place=build/promtool
program=$place/promtool

runs() {
  "$program" --version > "$place/log" 2>&1
}

fetch() {
  (cd "$place/packages" && rm -f ./*.deb && apt-get -qq download prometheus) > "$place/log" 2>&1
}

give_up() {
  reason="$1 ($(tail -n 1 "$place/log"))"
  echo "$reason" > "$place/reason"
  echo "promtool can't be had, tests will be skipped: $reason"
  exit 0
}

command -v promtool > /dev/null && exit 0
mkdir -p "$place/packages"
rm -f "$place/reason"
[ -x "$program" ] && runs && exit 0
echo 'no apt-get or no dpkg' > "$place/log"
command -v apt-get > /dev/null && command -v dpkg > /dev/null || give_up 'this is no Debian'
# A machine whose lists are missing or old needs them first, which only root may get.
fetch || { [ "$(id -u)" = 0 ] && apt-get -qq update > "$place/log" 2>&1 && fetch; } ||
  give_up 'apt-get could not download it'
for package in "$place"/packages/*.deb; do
  dpkg -x "$package" "$place/unpacked" 2> "$place/log" || give_up "dpkg could not unpack $package"
done
find "$place/unpacked" -name promtool -type f -perm -u+x -exec cp {} "$program" \;
# The package unpacked is ten times the program.
rm -rf "$place/unpacked" "$place/packages"
runs || give_up 'the package does not run here'
