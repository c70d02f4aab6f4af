#!/usr/bin/env bash
# Builds the container image of one variant and runs it with docker-compose.yml. Checks that it serves,
# runs without privileges, and stops on SIGTERM.
#
# Settings (environment):
#   VARIANT=cpu        or gpu
#   BASE_IMAGE=        a base image to use instead of the Dockerfile's
#   BASE_TAR=          a root filesystem to import as BASE_IMAGE first, if no image can be pulled
#   BUILD_NETWORK=     the network of the build, such as "host"
#   WITH_GPU=          1 reserves a GPU as docker-compose.yml does; otherwise the gpu image runs on the CPU
#   HEALTHY_S=60       seconds within which the container must report healthy
#   KEEP=              1 keeps the image
#
# Needs docker, or a compatible engine, with compose 2.24.4 or newer, and curl.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

variant=${VARIANT:-cpu}
name=model-zoo-check-$variant-$$
image=$name:test
failures=0

step() { printf '\n%s\n' "$*"; }
pass() { printf '  pass  %s\n' "$*"; }
fail() {
    printf '  FAIL  %s\n' "$*"
    failures=$((failures + 1))
}
give_up() {
    fail "$@"
    exit 1
}

# Runs compose with the file under test, changed so that the check can run next to the real service.
compose() {
    docker compose --project-name "$name" --file docker-compose.yml --file "$work/check.yml" \
        --profile "$variant" "$@"
}
property() { docker inspect --format "$1" "$container"; }
cleanup() {
    compose down --volumes --timeout 1 > /dev/null 2>&1 || true
    [ -n "${KEEP:-}" ] || docker image rm --force "$image" > /dev/null 2>&1 || true
    rm -rf "$work"
}

case $variant in
    cpu | gpu) ;;
    *) give_up "VARIANT must be cpu or gpu, received '$variant'" ;;
esac
for tool in "docker compose version" "docker version" "curl --version"; do
    $tool > /dev/null 2>&1 || give_up "'$tool' does not work here"
done
work=$(mktemp -d)
trap cleanup EXIT

{
    printf 'services:\n  %s:\n    image: %s\n    restart: "no"\n' "$variant" "$image"
    printf '    ports: !override ["127.0.0.1::8000"]\n    healthcheck: {interval: 1s}\n'
    printf '    build:\n      args: {VARIANT: %s' "$variant"
    [ -z "${BASE_IMAGE:-}" ] || printf ', BASE_IMAGE: "%s"' "$BASE_IMAGE"
    printf '}\n'
    [ -z "${BUILD_NETWORK:-}" ] || printf '      network: %s\n' "$BUILD_NETWORK"
    if [ "$variant" = gpu ] && [ -z "${WITH_GPU:-}" ]; then
        printf '    environment: {ZOO_DEVICE: cpu}\n    deploy: !reset null\n'
    fi
} > "$work/check.yml"

step "Files"
if command -v hadolint > /dev/null; then
    if hadolint Dockerfile; then pass "hadolint"; else fail "hadolint"; fi
else
    pass "hadolint is not installed: skipped"
fi
for profile in cpu gpu; do
    if services=$(docker compose --profile "$profile" config --services) && [ "$services" = "$profile" ]; then
        pass "profile $profile starts exactly the service $services"
    else
        fail "profile $profile starts: ${services:-no service}"
    fi
done

if docker compose --profile cluster --profile observe config --quiet; then
    pass "profile cluster is valid"
else
    fail "profile cluster is not valid"
fi

step "Build"
if [ -n "${BASE_TAR:-}" ]; then
    [ -n "${BASE_IMAGE:-}" ] || give_up "BASE_TAR needs BASE_IMAGE, the name to import it under"
    docker image inspect "$BASE_IMAGE" > /dev/null 2>&1 || docker import "$BASE_TAR" "$BASE_IMAGE" > /dev/null
fi
started=$SECONDS
compose build "$variant" || give_up "build"
bytes=$(docker image inspect --format '{{.Size}}' "$image")
pass "built in $((SECONDS - started)) s, $((bytes / 1000000)) MB"

if [ "$variant" = gpu ]; then
    step "CUDA libraries"
    if docker run --rm --interactive --network none --entrypoint python "$image" - \
        < scripts/check_cuda_libraries.py 2> "$work/stderr"; then
        pass "TensorFlow opens every CUDA library"
    else
        tail -5 "$work/stderr"
        fail "TensorFlow does not open every CUDA library"
    fi
    # On a GPU in full, which takes five minutes; without one, to see that it would run.
    limits=()
    [ -n "${WITH_GPU:-}" ] || limits=(--cpu --networks mobilenet_v1_025 --precisions float32 --batches 1 --seconds 120)
    if docker run --rm --network none --read-only --tmpfs /tmp ${WITH_GPU:+--gpus all} "$image" \
        python /opt/model-zoo/scripts/check_gpu.py "${limits[@]}" 2> "$work/stderr"; then
        pass "check_gpu.py"
    else
        tail -5 "$work/stderr"
        fail "check_gpu.py"
    fi
    if [ -z "${WITH_GPU:-}" ]; then
        if docker run --rm --network none --tmpfs /tmp --env ZOO_ANONYMOUS=allow "$image" > "$work/refusal" 2>&1; then
            fail "it starts without a GPU"
        elif grep 'ZOO_DEVICE=gpu' "$work/refusal"; then
            pass "it refuses to start without a GPU, and says why"
        else
            tail -5 "$work/refusal"
            fail "it exits without a GPU, but does not say why"
        fi
    fi
fi

step "Run"
if docker run --rm --network none --tmpfs /tmp "$image" > "$work/refusal" 2>&1; then
    fail "it starts without tokens, on every address of its container"
elif grep 'ZOO_ANONYMOUS=allow' "$work/refusal"; then
    pass "it refuses to start without tokens, and says why"
else
    tail -5 "$work/refusal"
    fail "it exits without tokens, but does not say why"
fi
started=$SECONDS
compose up --detach --no-build "$variant" 2> "$work/stderr" || { cat "$work/stderr"; give_up "start"; }
container=$(compose ps --all --quiet "$variant")
health=
until [ "$health" = healthy ] || [ $((SECONDS - started)) -ge "${HEALTHY_S:-60}" ]; do
    [ "$(property '{{.State.Running}}')" = true ] || { health=exited && break; }
    health=$(property '{{.State.Health.Status}}')
    sleep 0.2
done
if [ "$health" != healthy ]; then
    docker logs --tail 40 "$container" 2>&1
    give_up "not healthy after $((SECONDS - started)) s: $health"
fi
pass "healthy after $((SECONDS - started)) s"

uid=$(docker exec "$container" id -u)
if [ "$uid" != 0 ]; then pass "runs as uid $uid"; else fail "runs as root"; fi
if docker exec "$container" touch /opt/venv/written 2> /dev/null; then
    fail "the root filesystem can be written"
else
    pass "the root filesystem is read-only"
fi

# request METHOD PATH [JSON BODY]: a 2xx status passes
request() {
    local url status started=$SECONDS
    url=http://$(docker port "$container" 8000/tcp | head -n 1)$2
    status=$(curl --silent --noproxy '*' --max-time 120 --output "$work/answer" --write-out '%{http_code}' \
        --request "$1" ${3:+--header 'Content-Type: application/json' --data "$3"} "$url") || status=none
    case $status in
        2*) pass "$1 $2: $status after $((SECONDS - started)) s, $(head -c 120 "$work/answer" | tr '\n' ' ')" ;;
        *) fail "$1 $2: $status $(head -c 500 "$work/answer" 2> /dev/null)" ;;
    esac
}
request GET /healthz
request GET /v1/architectures

# The page: its HTML, and the script that this names.
request GET /docs
request GET /
script=$(sed -n 's/.*src="\.\/\(assets\/[^"]*\.js\)".*/\1/p' "$work/answer")
if [ -n "$script" ]; then request GET "/$script"; else fail "GET /: the page was not built"; fi

request POST /v1/builds '{"architecture": "lenet"}'
build=$(sed -n 's/^{"id": *"\([^"]*\)".*/\1/p' "$work/answer")

# A prediction waits for the worker, which imports TensorFlow from the read-only root filesystem.
row=$(printf '[0.5],%.0s' {1..28})
picture=$(printf "[${row%,}],%.0s" {1..28})
request POST "/v1/builds/$build/predict" "{\"instances\": [[${picture%,}]]}"

step "Stop"
started=$SECONDS
compose stop --timeout 30 "$variant" 2> /dev/null
code=$(property '{{.State.ExitCode}}')
if [ "$code" = 0 ]; then
    pass "SIGTERM stops it after $((SECONDS - started)) s with exit 0"
else
    fail "SIGTERM stops it after $((SECONDS - started)) s with exit $code"
fi

if [ "$failures" != 0 ]; then
    docker logs --tail 40 "$container" 2>&1
    step "$failures checks failed"
    exit 1
fi
step "All checks passed"
