# A small image with the program alone. A system is mounted at /system; journal, checklist and logs are in the volume.
# docs/operating.md says how to use it.

FROM rust:1.89-bookworm AS build
WORKDIR /src
COPY . .
# For nowcast --version: --build-arg NOWCAST_COMMIT="$(git rev-parse --short=12 HEAD)"
ARG NOWCAST_COMMIT
RUN cargo build --release --locked

FROM debian:bookworm-slim
# More for workers: --build-arg PACKAGES="python3 python3-yaml python3-zmq openssh-client"
ARG PACKAGES=""
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libstdc++6 tzdata $PACKAGES \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/nowcast --create-home --shell /usr/sbin/nologin nowcast
COPY --from=build /src/target/release/nowcast /usr/local/bin/nowcast

ENV NOWCAST_YAML=/system/nowcast.yaml \
    NOWCAST_LOGS=/var/lib/nowcast \
    LANG=C.UTF-8
USER nowcast
WORKDIR /system
VOLUME /var/lib/nowcast

# As the first process, it forwards signals to its daemons and reaps orphans. On SIGTERM the broker waits up to 10 s for
# open replies: docker stop --time 30.
STOPSIGNAL SIGTERM
ENTRYPOINT ["nowcast"]
CMD ["up"]
# A failed worker does not make the container unhealthy, a daemon does.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["nowcast", "status", "--daemons"]
