# Build stage: the wheel, with Rust. Runtime: slim, no compiler, no root.
#
#   docker build -t pacewheel .
#   docker run -e PACEWHEEL_DSN=postgresql://... pacewheel            the daemon
#   docker run -v pacewheel:/var/lib/pacewheel pacewheel warm https://example.com
#
# Without PACEWHEEL_DSN the embedded PostgreSQL keeps its data below /var/lib/pacewheel.

FROM python:3.13-slim-bookworm AS build
COPY --from=rust:1-slim-bookworm /usr/local/cargo /usr/local/cargo
COPY --from=rust:1-slim-bookworm /usr/local/rustup /usr/local/rustup
ENV PATH=/usr/local/cargo/bin:$PATH CARGO_HOME=/usr/local/cargo RUSTUP_HOME=/usr/local/rustup
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels '.[embedded]'

FROM python:3.13-slim-bookworm
RUN useradd --system --create-home --home-dir /var/lib/pacewheel pacewheel
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels 'pacewheel[embedded]'
USER pacewheel
WORKDIR /var/lib/pacewheel
VOLUME /var/lib/pacewheel
# SIGTERM drains: running tasks finish, the rest goes back.
STOPSIGNAL SIGTERM
ENTRYPOINT ["pacewheel"]
CMD ["run"]
