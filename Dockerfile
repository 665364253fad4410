# syntax=docker/dockerfile:1
# The worker with history tables: DuckDB is compiled in, so that the image needs no shared library of it.

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake libssl-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The caches outlive the layer: a second build compiles what changed. The binary is copied out, as they are not in the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --features analytics,ferroconnect-analytics/bundled \
    && cp target/dist/ferroconnect /usr/local/bin/ferroconnect

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl libssl3 libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/ferroconnect --create-home ferroconnect
COPY --from=build /usr/local/bin/ferroconnect /usr/local/bin/ferroconnect

USER ferroconnect
# For history tables: `ferroconnect scd2 run --database history.duckdb`.
WORKDIR /var/lib/ferroconnect
VOLUME /var/lib/ferroconnect
EXPOSE 8083
# Liveness, not readiness (/health): a worker whose broker is away waits for it, and a restart would not help. Any answer
# is one, 401 too.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD curl --silent --show-error --output /dev/null http://127.0.0.1:8083/
ENTRYPOINT ["ferroconnect"]
CMD ["worker"]
