#!/bin/sh
# Puts Debian's Chromium, with the libraries and fonts that this machine lacks, under build/chromium,
# installing nothing: build/chromium/chromium starts it. Ends well in any case: where it can't be had,
# build/chromium/reason says why, and the tests that need it are skipped with that reason.
set -u
cd "$(dirname "$0")/../.."
place=$PWD/build/chromium
root=$place/root
program=$place/chromium

runs() {
  "$program" --version > "$place/log" 2>&1
}

fetch() {
  packages=$(apt-get -s install --no-install-recommends chromium 2> "$place/log" |
    awk '$1 == "Inst" && $2 ~ /^(chromium|chromium-common|lib.*|fontconfig-config|fonts-.*)$/ { print $2 }')
  [ -n "$packages" ] || return 1
  # shellcheck disable=SC2086 # a word a package
  (cd "$place/packages" && rm -f ./*.deb && apt-get -qq download $packages) > "$place/log" 2>&1
}

# Wherever the packages put them: the program, its libraries, the fonts beside it if it brought any.
write_program() {
  binary=$(find "$root" -path '*/chromium/chromium' -type f -perm -u+x | head -n 1)
  libraries=$(find "$root" -name 'lib*.so*' -printf '%h\n' | sort -u | paste -s -d :)
  {
    echo '#!/bin/sh'
    echo "export LD_LIBRARY_PATH=$libraries"
    [ -f "$root/etc/fonts/fonts.conf" ] && echo "export FONTCONFIG_SYSROOT=$root"
    echo "exec $binary \"\$@\""
  } > "$program"
  chmod +x "$program"
}

give_up() {
  reason="$1 ($(tail -n 1 "$place/log"))"
  echo "$reason" > "$place/reason"
  echo "Chromium can't be had, tests will be skipped: $reason"
  exit 0
}

command -v chromium > /dev/null && exit 0
mkdir -p "$place/packages"
rm -f "$place/reason"
[ -x "$program" ] && runs && exit 0
echo 'no apt-get or no dpkg' > "$place/log"
command -v apt-get > /dev/null && command -v dpkg > /dev/null || give_up 'this is no Debian'
echo 'downloading Chromium from Debian (100 MB, once)'
# A machine whose lists are missing or old needs them first, which only root may get.
fetch || { [ "$(id -u)" = 0 ] && apt-get -qq update > "$place/log" 2>&1 && fetch; } ||
  give_up 'apt-get could not download it'
for package in "$place"/packages/*.deb; do
  dpkg -x "$package" "$root" 2> "$place/log" || give_up "dpkg could not unpack $package"
  rm -f "$package"
done
write_program
runs || give_up 'the package does not run here'
