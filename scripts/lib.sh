# shellcheck shell=bash
# Shared by the scripts beside it: `. scripts/lib.sh`. Nothing here runs by itself.

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# have PROGRAM: whether it can be started, PostgreSQL's own folders included.
have() {
  command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null
}

# What `need` and `need_module` found missing, until `install_missing`.
missing=()
packages=()

# need PROGRAM PACKAGE…: notes the Debian packages unless the program is there.
need() {
  local program=$1
  shift
  have "$program" || { missing+=("$program"); packages+=("$@"); }
}

# need_module MODULE PACKAGE…: the same for what Python must be able to import.
need_module() {
  local module=$1
  shift
  if ! python3 -c "import $module" 2>/dev/null; then
    missing+=("Python's $module")
    packages+=(python3 "$@")
  fi
}

# install_missing: names what is missing and installs it, as root or with sudo. Where neither is possible it ends with the
# command that an administrator has to run.
install_missing() {
  [ "${#missing[@]}" -gt 0 ] || return 0
  local root=()
  command -v apt-get >/dev/null 2>&1 ||
    die "missing: ${missing[*]}; install them (on Debian: ${packages[*]}) and run this again"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 ||
      die "missing: ${missing[*]}; run this as root, then try again: apt-get install --no-install-recommends ${packages[*]}"
    root=(sudo)
  fi
  say "missing: ${missing[*]}; installing with ${root[*]:+sudo }apt-get: ${packages[*]}"
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  missing=()
  packages=()
}

# need_cargo SUBCOMMAND CRATE: installs a cargo subcommand for this user unless it is there.
need_cargo() {
  cargo "$1" --version >/dev/null 2>&1 && return 0
  say "missing: cargo $1; installing with cargo: $2 (this takes some minutes)"
  cargo install --locked --quiet "$2"
}

# need_python PROGRAM REQUIREMENT: installs a program that Python's package index has, into a folder of its own below the
# cache of this user, unless it is there. Adds that folder to PATH.
need_python() {
  have "$1" && return 0
  local tools="${XDG_CACHE_HOME:-$HOME/.cache}/mitosis-tools/${2/==/-}"
  PATH="$tools/bin:$PATH"
  [ -x "$tools/bin/$1" ] && return 0
  need_module ensurepip python3-venv
  install_missing
  say "missing: $1; installing with pip into $tools: $2"
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check "$2"
}
