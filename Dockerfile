# Needs BuildKit (the default of `docker build`, `podman build` does the same) for the cache mounts.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The caches outlive this step, its result does not: so the program is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin runmint \
    && cp target/release/runmint /usr/local/bin/runmint

FROM debian:bookworm-slim
# The certificates are for the probe of the issuer's own https address.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/runmint
COPY --from=build /usr/local/bin/runmint /usr/local/bin/runmint

# The admin listener stays on the container's loopback: `docker exec … runmint keys list` reaches it.
ENV RUNMINT_SERVER__LISTEN=0.0.0.0:8080 \
    RUNMINT_ADMIN__LISTEN=127.0.0.1:8081 \
    RUNMINT_DATA_DIR=/var/lib/runmint
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
VOLUME /var/lib/runmint
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s \
    CMD ["runmint", "healthcheck"]
ENTRYPOINT ["runmint"]
CMD ["serve"]
