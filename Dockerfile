# Hostler for the CPU, with llama.cpp's server on board. Mount a configuration at /app/config.yaml and models where it says:
#   docker run -p 8080:8080 -v ./config.yaml:/app/config.yaml:ro -v ./models:/models:ro hostler

FROM node:24-slim AS page
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY ui/vendor.json ui/vendor.mjs ui/highlight.d.ts ui/
RUN node ui/vendor.mjs

FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt \
    && python -m venv /opt/hostler \
    && /opt/hostler/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY planners planners
COPY monitors monitors
COPY ui ui
COPY --from=page /src/ui/static/vendor ui/static/vendor
# Compressed before it is packed: with the packages that Hostler itself runs on.
RUN /opt/hostler/bin/python -m ui.build \
    && /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/hostler/bin/pip install --no-cache-dir --no-deps --no-index --find-links /dist hostler

FROM python:3.11-slim
# llama.cpp's server needs OpenMP; the slim image has none.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 hostler
COPY --from=build /opt/hostler /opt/hostler
ENV PATH=/opt/hostler/bin:$PATH \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /app
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
ENTRYPOINT ["hostler", "serve", "--config", "/app/config.yaml", "--listen", "0.0.0.0:8080"]
