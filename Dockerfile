# Headway in an image, which nobody publishes: docker build -t headway .
#
#   docker run --rm --network host headway dev
#
# A network's files and how its nodes run are in the folder that `headway init` writes, with a compose file.
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --locked --release -p node

FROM debian:bookworm-slim
COPY --from=build /source/target/release/headway /usr/local/bin/headway
# Nothing of it needs to be root; a mounted folder belongs to whoever `--user` says.
USER 1000:1000
WORKDIR /tmp
STOPSIGNAL SIGTERM
ENTRYPOINT ["headway"]
