# The gate with all three frameworks, in the versions that the tables are verified with:
#   docker build -t optmap . && docker run --rm -v "$PWD:/work:ro" optmap
#   docker run --rm -v "$PWD:/work:ro" optmap check train.py --require torch
FROM python:3.11-slim
COPY pyproject.toml hatch_build.py README.md LICENSE constraints.txt /optmap/
COPY optmap /optmap/optmap
COPY mappings /optmap/mappings
RUN pip install --no-cache-dir '/optmap[all]' -c /optmap/constraints.txt && rm -r /optmap && useradd --create-home user
USER user
WORKDIR /work
ENTRYPOINT ["optmap"]
CMD ["check", "--all", "--require", "torch", "--require", "tensorflow", "--require", "mindspore-real"]
