# Builds two images. VARIANT=cpu runs anywhere. VARIANT=gpu contains the CUDA libraries as wheels (6.5 GB
# instead of 2 GB), so the host needs only the NVIDIA driver and the container toolkit.
#
#     docker build --build-arg VARIANT=cpu --tag model-zoo-service:cpu .
#
# EXTRAS=shared adds what replicas share state with (PostgreSQL, buckets) and OpenID Connect, EXTRAS=ray Ray
# as well. deploy/kubernetes calls such images cpu-shared, gpu-shared and cpu-ray.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG VARIANT=cpu

FROM ${BASE_IMAGE} AS python
ENV PATH=/opt/venv/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/venv

# The page is the same in both variants, and is built while the packages below are installed.
FROM python AS page
COPY requirements/page.txt /opt/page.txt
RUN pip install --no-cache-dir --require-hashes --requirement /opt/page.txt
# Trust the certificates that the base image trusts, as pip does.
ENV NODE_USE_SYSTEM_CA=1
WORKDIR /src/page
COPY page/package.json page/package-lock.json page/.npmrc ./
RUN npm ci
COPY page ./
RUN npm run build

FROM python AS base
ARG VARIANT
RUN groupadd --gid 10001 zoo \
    && useradd --uid 10001 --gid zoo --no-log-init --home-dir /nonexistent --shell /usr/sbin/nologin zoo \
    && install --directory --owner=zoo --group=zoo --mode=750 /var/lib/model-zoo
# This layer, by far the largest, depends only on the lock file, so a change of code reuses it.
# TensorFlow's C++ headers (0.4 GB) are needed only to compile extensions.
COPY requirements/${VARIANT}.txt /opt/requirements.txt
RUN pip install --no-cache-dir --require-hashes --requirement /opt/requirements.txt \
    && rm -rf /opt/venv/lib/python3*/site-packages/tensorflow/include
ARG EXTRAS=
COPY requirements/shared.txt requirements/ray.txt /opt/extras/
RUN if [ -n "$EXTRAS" ]; then \
        pip install --no-cache-dir --require-hashes --requirement "/opt/extras/$EXTRAS.txt"; \
    fi

FROM base AS wheel
WORKDIR /src
COPY LICENSE pyproject.toml ./
COPY model_zoo ./model_zoo
COPY app ./app
COPY --from=page /src/app/static ./app/static
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /dist .

FROM base AS cpu
ENV ZOO_DEVICE=cpu

FROM base AS gpu
# TensorFlow 2.21 finds some of these libraries (cusolver) only through the system's loader. Without this
# list it logs one line and computes on the CPU.
RUN printf '%s\n' /opt/venv/lib/python3*/site-packages/nvidia/*/lib > /etc/ld.so.conf.d/nvidia-wheels.conf \
    && ldconfig
# The check of a GPU and the records that it replays (1 MB).
COPY scripts/check_gpu.py /opt/model-zoo/scripts/
COPY tests/golden/open /opt/model-zoo/tests/golden/open
ENV ZOO_DEVICE=gpu \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM ${VARIANT} AS service
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    pip install --no-cache-dir --no-deps --no-index /dist/*.whl
# On every address, the service starts only with tokens, an OpenID Connect provider, or ZOO_ANONYMOUS=allow.
# PYTHONSAFEPATH keeps the working directory off the import path. Keras writes a settings file when it is
# imported, and this user has no home directory.
ENV PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    KERAS_HOME=/tmp/keras \
    ZOO_HOST=0.0.0.0 \
    ZOO_PORT=8000 \
    ZOO_HOME=/var/lib/model-zoo
WORKDIR /var/lib/model-zoo
VOLUME /var/lib/model-zoo
EXPOSE 8000
# A number, so that Kubernetes can verify runAsNonRoot.
USER 10001:10001
# http.client, because urllib.request would use a proxy set for the container.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['ZOO_PORT']), timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
CMD ["python", "-m", "app"]
