# lookalike on a CPU. Build: docker build -t lookalike .
# Run: export LOOKALIKE_ADMIN_TOKEN=$(openssl rand -hex 24); docker run -p 127.0.0.1:8080:8080 -v lookalike:/data \
#        -e LOOKALIKE_ADMIN_TOKEN --add-host host.docker.internal:host-gateway \
#        lookalike serve --upstream http://host.docker.internal:8000
# A container listens beyond loopback, so it needs an admin token, or LOOKALIKE_ADMIN_ACCESS=off (docs/admin.md).
FROM python:3.11-slim AS build
RUN python -m venv /opt/lookalike
# The CPU builds are a tenth of the CUDA ones that the plain registry gives. For a GPU image, point this elsewhere.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN /opt/lookalike/bin/pip install --no-cache-dir --index-url "$TORCH_INDEX" torch torchvision
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY cache cache
COPY embeddings embeddings
RUN /opt/lookalike/bin/pip install --no-cache-dir .

FROM python:3.11-slim
RUN useradd --uid 10001 --home-dir /data --create-home lookalike
COPY --from=build /opt/lookalike /opt/lookalike
# The store, and CLIP's weights once downloaded, live on the volume.
ENV PATH=/opt/lookalike/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HF_HOME=/data/huggingface \
    LOOKALIKE_CACHE_DIR=/data/cache \
    LOOKALIKE_HOST=0.0.0.0
USER lookalike
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/cache/health/live', timeout=2)"]
ENTRYPOINT ["lookalike"]
CMD ["serve"]
