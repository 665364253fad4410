# shellcheck shell=bash
# An S3 server that checks signatures: the program in dev/s3. Sourced by dev/services.

s3_access_key=minioadmin
s3_secret_key=minioadmin

# Kept by the hash of its sources, so that a second checkout does not build it again.
s3_program() {
  local hash
  hash=$(cd "$repo/dev/s3" && cat Cargo.toml src/*.rs | sha256sum | cut -c1-12)
  echo "$cache/s3-$hash/ferroconnect-dev-s3"
}

s3_install() {
  local program
  program=$(s3_program)
  if [[ -x $program ]]; then return; fi
  has cargo || die "Rust is missing: install it (rustup, or your distribution's rustc and cargo) and run this again"
  say s3 "building the S3 server (dev/s3)"
  local built
  built=$(cd "$repo" && cargo build --quiet --package ferroconnect-dev-s3 --message-format json-render-diagnostics 9>&- |
    sed -n 's|.*"executable":"\([^"]*/ferroconnect-dev-s3\)".*|\1|p')
  mkdir -p "${program%/*}"
  cp "$built" "$program.$$"
  mv "$program.$$" "$program"
}

s3_start() {
  if is_running s3; then return; fi
  local program dir=$state/s3 port
  program=$(s3_program)
  [[ -x $program ]] || die "the S3 server is not built: run dev/services install s3"
  mkdir -p "$dir/data"
  port=$(keep_port "$dir/port")
  rm -f "$dir/bound"
  launch s3 "$program" --dir "$dir/data" --listen "127.0.0.1:$port" --port-file "$dir/bound" \
    --access-key "$s3_access_key" --secret-key "$s3_secret_key"
  wait_until s3 20 test -s "$dir/bound" || fail_with_log "$dir/log" "the S3 server did not start"
  put_env s3 FERROCONNECT_TEST_S3 "http://127.0.0.1:$port" FERROCONNECT_TEST_S3_DIR "$dir/data" \
    FERROCONNECT_TEST_S3_ACCESS_KEY "$s3_access_key" FERROCONNECT_TEST_S3_SECRET_KEY "$s3_secret_key"
}

s3_stop() { terminate s3 5; }

s3_where() { echo "http://127.0.0.1:$(cat "$state/s3/port")"; }
