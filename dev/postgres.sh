# shellcheck shell=bash
# PostgreSQL, set up for logical replication. Sourced by dev/services.

# FERROCONNECT_POSTGRES_BIN chooses another installation, for a run against another version.
postgres_bin() {
  local dirs=("${FERROCONNECT_POSTGRES_BIN:-}" /usr/lib/postgresql/15/bin /usr/lib/postgresql/*/bin)
  if has pg_config; then dirs+=("$(pg_config --bindir)"); fi
  local dir
  for dir in "${dirs[@]}"; do
    if [[ -n $dir && -x $dir/initdb && -x $dir/postgres ]]; then
      echo "$dir"
      return
    fi
  done
  return 1
}

postgres_install() {
  if postgres_bin >/dev/null; then
    has psql || apt_install "the demo's SQL" postgresql-client
    return
  fi
  # Debian's package otherwise makes a cluster of its own and starts it on port 5432.
  local no_cluster=/etc/postgresql-common/createcluster.d/ferroconnect.conf
  if ((EUID == 0)) && has apt-get; then
    mkdir -p "${no_cluster%/*}"
    echo 'create_main_cluster = false' >"$no_cluster"
  fi
  apt_install "the source database" postgresql-15
  rm -f "$no_cluster"
}

# PostgreSQL refuses to run as root.
as_postgres() {
  if ((EUID == 0)); then
    (cd / && exec runuser -u postgres -- "$@" 9>&-)
  else
    "$@" 9>&-
  fi
}

# The folder of data and log. Its owner must be able to reach it, which below a private folder such as /root it cannot:
# then the folder is elsewhere and .dev has a link to it.
postgres_home() {
  local home=$state/postgres/home
  if [[ ! -e $home ]]; then
    mkdir -p "$home"
    if ((EUID == 0)); then
      chown postgres: "$home"
      if ! as_postgres test -w "$home"; then
        rmdir "$home"
        local elsewhere
        elsewhere=$(mktemp -d /var/tmp/ferroconnect-postgres.XXXXXX)
        chown postgres: "$elsewhere"
        ln -sfn "$elsewhere" "$home"
      fi
    fi
  fi
  readlink -f "$home"
}

postgres_start() {
  if is_running postgres; then return; fi
  local bin home
  bin=$(postgres_bin) || die "PostgreSQL is not installed: run dev/services install postgres"
  home=$(postgres_home)
  ln -sfn "$home/log" "$state/postgres/log"
  [[ -e $home/data/PG_VERSION ]] || postgres_init "$bin" "$home"

  local port options
  read -ra options <<<"${FERROCONNECT_POSTGRES_OPTIONS:-}"
  for _ in 1 2 3; do
    port=$(keep_port "$state/postgres/port")
    if as_postgres "$bin/pg_ctl" -D "$home/data" -l "$home/log" -s -w -t 60 -o "-p $port ${options[*]}" start; then
      local pid
      pid=$(as_postgres head -n 1 "$home/data/postmaster.pid")
      echo "$pid $(start_time "$pid")" >"$state/postgres/pid"
      put_env postgres FERROCONNECT_TEST_POSTGRES "postgres://postgres@127.0.0.1:$port/postgres"
      return
    fi
    # Another program may have taken the port between the look and the bind.
    grep -q 'could not bind' "$home/log" || break
    rm -f "$state/postgres/port"
  done
  fail_with_log "$home/log" "PostgreSQL did not start"
}

postgres_init() {
  local bin=$1 home=$2
  rm -rf "$home/data"
  as_postgres "$bin/initdb" -D "$home/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >/dev/null
  # The tests' superuser needs no password; every other role is asked for it, as on a real server.
  as_postgres tee "$home/data/pg_hba.conf" >/dev/null <<'END'
host  all          postgres  127.0.0.1/32  trust
host  replication  postgres  127.0.0.1/32  trust
host  all          all       127.0.0.1/32  scram-sha-256
host  replication  all       127.0.0.1/32  scram-sha-256
END
  as_postgres tee -a "$home/data/postgresql.conf" >/dev/null <<'END'

# Loopback only; no Unix socket, whose path may be too long below a deep folder.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
timezone = 'UTC'

wal_level = logical
max_replication_slots = 50
max_wal_senders = 50
max_connections = 200
track_commit_timestamp = on
log_replication_commands = on

# Nothing here must outlive a power cut.
fsync = off
full_page_writes = off
synchronous_commit = off
max_wal_size = 4GB
END
}

postgres_stop() {
  if is_running postgres; then
    local control=("$(postgres_bin)/pg_ctl" -D "$(postgres_home)/data" -s -w -t 10)
    # A replication client that does not answer can hold up a fast stop.
    as_postgres "${control[@]}" -m fast stop || as_postgres "${control[@]}" -m immediate stop
  fi
  rm -f "$state/postgres/pid" "$state/postgres/env"
}

postgres_where() { echo "127.0.0.1:$(cat "$state/postgres/port")"; }
