# Shared by the scripts beside it: `. scripts/lib.sh`. Nothing here runs by itself.

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# have PROGRAM: whether it can be started, PostgreSQL's own folders included.
have() {
  command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null
}

# install PACKAGE…: installs Debian packages.
install() {
  command -v apt-get >/dev/null 2>&1 || die "something is missing; install it (Debian: $*) and try again"
  local root=()
  [ "$(id -u)" = 0 ] || root=(sudo)
  say "installing $*"
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# need PROGRAM PACKAGE…: installs the Debian packages unless the program is there.
need() {
  local program=$1
  shift
  have "$program" && return 0
  install "$@"
  have "$program" || die "$program is still missing after installing $*"
}

# need_module MODULE PACKAGE…: the same for what Python must be able to import.
need_module() {
  local module=$1
  shift
  need python3 python3
  python3 -c "import $module" 2>/dev/null && return 0
  install "$@"
  python3 -c "import $module" || die "Python can't import $module after installing $*"
}

# need_cargo SUBCOMMAND CRATE: installs a cargo subcommand unless it is there.
need_cargo() {
  cargo "$1" --version >/dev/null 2>&1 && return 0
  say "installing $2"
  cargo install --locked --quiet "$2"
}
