# shellcheck shell=bash
# What dev/postgres.sh, dev/kafka.sh, dev/s3.sh and dev/duckdb.sh share. Sourced by dev/services.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Downloads, kept so that a second checkout does not fetch them again.
cache=${FERROCONNECT_CACHE:-$HOME/.cache/ferroconnect}
# What runs for this checkout: data, logs, ports, process ids. One folder per part.
state=${FERROCONNECT_DEV_DIR:-$repo/.dev}

say() { printf '%-9s %s\n' "$1" "$2"; }

die() {
  printf 'dev/services: %s\n' "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# --- packages -------------------------------------------------------------------------------------------------------

apt_is_fresh=

# Installs Debian packages, or says plainly which are missing and what they are for.
apt_install() {
  local purpose=$1
  shift
  if ((EUID != 0)) || ! has apt-get; then
    die "missing for $purpose: $*. Install it (Debian: apt-get install $*) and run this again"
  fi
  say apt "installing $* ($purpose)"
  export DEBIAN_FRONTEND=noninteractive
  # Package lists are fetched only when those at hand do not have the package.
  if apt-get install -y -qq --no-install-recommends "$@" >"$state/apt.log" 2>&1; then return; fi
  if [[ -z $apt_is_fresh ]]; then
    apt-get update -qq >>"$state/apt.log" 2>&1 || true
    apt_is_fresh=yes
    if apt-get install -y -qq --no-install-recommends "$@" >>"$state/apt.log" 2>&1; then return; fi
  fi
  tail -n 20 "$state/apt.log" >&2
  die "apt-get install $* failed ($purpose)"
}

# Runs a command that prints much only if it fails.
quietly() {
  local log=$state/install.log
  if ! "$@" >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    die "failed: $*"
  fi
}

# --- ports ----------------------------------------------------------------------------------------------------------

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below the ephemeral range, so that no outgoing connection takes the port before the server does.
free_port() {
  local port
  for _ in {1..50}; do
    port=$((20000 + RANDOM % 12000))
    if ! port_answers "$port"; then
      echo "$port"
      return
    fi
  done
  die "no free port on 127.0.0.1 between 20000 and 32000"
}

# The port in the file if it is still free, so that a restart keeps addresses; otherwise a new one.
keep_port() {
  local file=$1 port
  port=$(cat "$file" 2>/dev/null || true)
  if [[ -z $port ]] || port_answers "$port"; then port=$(free_port); fi
  echo "$port" >"$file"
  echo "$port"
}

# --- processes ------------------------------------------------------------------------------------------------------

# The kernel's start time of a process: tells the one we started from another that got its number later.
start_time() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  read -ra stat <<<"${stat##*) }"
  [[ ${stat[0]} != Z ]] || return 1
  echo "${stat[19]}"
}

# Starts a server in a session of its own, with its output in a log, and remembers it.
launch() {
  local part=$1 pid
  shift
  setsid "$@" >"$state/$part/log" 2>&1 </dev/null 9>&- &
  pid=$!
  echo "$pid $(start_time "$pid")" >"$state/$part/pid"
}

pid_of() {
  local pid since
  read -r pid since 2>/dev/null <"$state/$1/pid" || return 1
  [[ $(start_time "$pid") == "$since" ]] || return 1
  echo "$pid"
}

is_running() { pid_of "$1" >/dev/null; }

# Waits until a command succeeds. Ends early when the part's process has died.
wait_until() {
  local part=$1 seconds=$2
  shift 2
  local deadline=$((SECONDS + seconds))
  until "$@"; do
    if ! is_running "$part" || ((SECONDS >= deadline)); then return 1; fi
    sleep 0.05
  done
}

# SIGTERM, and SIGKILL for what has not ended after the given seconds.
terminate() {
  local part=$1 seconds=$2 pid
  if pid=$(pid_of "$part"); then
    kill -TERM "$pid"
    local deadline=$((SECONDS + seconds))
    while is_running "$part" && ((SECONDS < deadline)); do sleep 0.05; done
    if is_running "$part"; then kill -KILL "$pid"; fi
  fi
  rm -f "$state/$part/pid" "$state/$part/env"
}

fail_with_log() {
  tail -n 30 "$1" >&2 || true
  die "$2 (log: $1)"
}

# --- environment ----------------------------------------------------------------------------------------------------

# put_env PART KEY VALUE ...: what a running part tells the tests.
put_env() {
  local file=$state/$1/env
  shift
  : >"$file"
  while (($#)); do
    printf 'export %s=%q\n' "$1" "$2" >>"$file"
    shift 2
  done
}
