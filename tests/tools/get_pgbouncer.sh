#!/bin/sh
# Puts Debian's PgBouncer, with the libraries that this machine lacks, under build/pgbouncer, installing
# nothing. Ends well in any case: where it can't be had, build/pgbouncer/reason says why, and the tests that
# need it are skipped with that reason.
set -u
cd "$(dirname "$0")/../.."
place=build/pgbouncer
program=$place/pgbouncer

runs() {
  LD_LIBRARY_PATH=$place/lib "$program" --version > "$place/log" 2>&1
}

fetch() {
  packages=$(apt-get -s install --no-install-recommends pgbouncer 2> "$place/log" |
    awk '$1 == "Inst" && ($2 == "pgbouncer" || $2 ~ /^lib/) { print $2 }')
  [ -n "$packages" ] || return 1
  # shellcheck disable=SC2086 # a word a package
  (cd "$place/packages" && rm -f ./*.deb && apt-get -qq download $packages) > "$place/log" 2>&1
}

give_up() {
  reason="$1 ($(tail -n 1 "$place/log"))"
  echo "$reason" > "$place/reason"
  echo "PgBouncer can't be had, tests will be skipped: $reason"
  exit 0
}

command -v pgbouncer > /dev/null && exit 0
mkdir -p "$place/packages" "$place/lib"
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
# Wherever a package puts them: the program here, its libraries beside it, links followed.
find "$place/unpacked" -name pgbouncer -type f -perm -u+x -exec cp {} "$program" \;
find "$place/unpacked" -name 'lib*.so*' -exec cp -L {} "$place/lib" \;
runs || give_up 'the package does not run here'
