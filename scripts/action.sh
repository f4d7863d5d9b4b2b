#!/usr/bin/env bash
# The steps of action.yml. Its inputs come as environment variables, so that no input is ever read as shell code.
set -euo pipefail

usage() {
  echo "usage: action.sh install|translate|check, with the inputs of action.yml in the environment" >&2
  exit 2
}

# The words of an input, one a line; a glob in it stays as it is.
words() { tr -s '[:space:]' '\n' <<<"$1" | sed '/^$/d'; }

install() {
  mapfile -t engines < <(words "$ENGINES")
  extras=$(IFS=,; echo "${engines[*]}")
  python -m pip install --quiet --disable-pip-version-check --constraint "$SOURCE/constraints.txt" "$SOURCE${extras:+[$extras]}"
}

translate() {
  mapfile -t paths < <(words "$PATHS")
  mode=(--format github)
  if [ "$MODE" = check ]; then
    mode+=(--check)
  fi
  if [ -n "$BASELINE" ]; then
    mode+=(--baseline "$BASELINE")
  fi
  status=0
  optmap translate "${mode[@]}" --from "$FROM" --to "$TO" -- "${paths[@]}" || status=$?
  # Without --check a refusal is an annotation, and only what cannot be read fails the step.
  if [ "$MODE" != check ] && [ "$status" -eq 1 ]; then
    status=0
  fi
  return "$status"
}

check() {
  mapfile -t paths < <(words "$PATHS")
  options=(--to "$TO" --format markdown)
  for engine in $(words "$ENGINES"); do
    options+=(--require "$engine")
  done
  if [ -n "$REPORT" ]; then
    options+=(--report "$REPORT")
  fi
  if [ -n "$BASELINE" ]; then
    options+=(--baseline "$BASELINE")
  fi
  if [ "$MODE" = all ]; then
    options+=(--all)
  else
    options+=(-- "${paths[@]}")
  fi
  status=0
  optmap check "${options[@]}" >"${RUNNER_TEMP:-.}/optmap-check.md" || status=$?
  cat "${RUNNER_TEMP:-.}/optmap-check.md" | tee -a "${GITHUB_STEP_SUMMARY:-/dev/null}"
  return "$status"
}

case "${1:-}" in
  install | translate | check) "$1" ;;
  *) usage ;;
esac
