# The worker, the gateway, and every other command that needs no embedded stack: no torch, no Triton, no broker.
FROM python:3.13-slim AS build
RUN python -m venv /opt/sentistream
COPY pyproject.toml README.md LICENSE NOTICE /source/
COPY stream /source/stream
COPY triton_models /source/triton_models
COPY configs /source/configs
RUN /opt/sentistream/bin/pip install --no-cache-dir "/source[gateway]"

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent sentistream
COPY --from=build /opt/sentistream /opt/sentistream
ENV PATH=/opt/sentistream/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["sentistream"]
CMD ["worker"]
