# shellcheck shell=bash
# DuckDB's library, prebuilt: compiling its sources takes many minutes. Sourced by dev/services.

# The version that analytics/Cargo.toml pins the `duckdb` crate to (1.10505.0 is for DuckDB 1.5.5).
duckdb_version=1.5.5-r.5
duckdb_package=@duckdb/node-bindings-linux-x64@$duckdb_version
duckdb_sha256=fc23f12e376c47be520f75221288281906e7942e8fd6f6ce4849198ba60d0405

duckdb_lib_dir() { echo "$cache/duckdb-$duckdb_version"; }

duckdb_install() {
  local dir
  dir=$(duckdb_lib_dir)
  if [[ -e $dir/libduckdb.so ]]; then return; fi
  [[ $(uname -sm) == 'Linux x86_64' ]] ||
    die "no prebuilt DuckDB for $(uname -sm): build with --features analytics,ferroconnect-analytics/bundled instead"
  has npm || apt_install "fetching DuckDB's library" npm
  say duckdb "fetching libduckdb.so"
  local unfinished=$dir.new
  rm -rf "$unfinished"
  mkdir -p "$unfinished"
  quietly npm pack --pack-destination "$unfinished" "$duckdb_package"
  tar -xzf "$unfinished"/*.tgz -C "$unfinished" --strip-components=1 package/libduckdb.so package/LICENSE
  rm -f "$unfinished"/*.tgz
  echo "$duckdb_sha256  $unfinished/libduckdb.so" | sha256sum --check --status ||
    die "libduckdb.so of $duckdb_package is not the one this script knows"
  mv -T "$unfinished" "$dir"
}

# To build with, and to run with.
duckdb_env() {
  local dir
  dir=$(duckdb_lib_dir)
  if [[ ! -e $dir/libduckdb.so ]]; then return; fi
  mkdir -p "$state/duckdb"
  put_env duckdb DUCKDB_LIB_DIR "$dir" LD_LIBRARY_PATH "$dir"
}
