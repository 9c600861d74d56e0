# make serve   installs what is missing, builds, and runs the broker on 127.0.0.1:5672 (ARGS="--port 5673")
# make test    installs what is missing, and runs everything: lint, Swift tests, client suites
# make bench   the load generator of a checkout beside this one against a release build (BENCH=DIR)

ARGS  ?=
BENCH ?= ../shared/bench
YUTU   = .build/release/yutu

.PHONY: serve release test lint swift-test clients examples bench clean

serve: release
	@exec $(YUTU) serve $(ARGS)

release:
	@scripts/install
	swift build -c release --product yutu
	swift build -c release --product yutuctl

test:
	@scripts/install test
	$(MAKE) lint
	$(MAKE) swift-test
	$(MAKE) clients

lint:
	scripts/lint

swift-test:
	swift build --build-tests
	swift test --skip-build

# The debug build: it keeps all of Swift's checks while real clients try it.
clients:
	swift build --product yutu
	swift build --product yutuctl
	YUTU=.build/debug/yutu Tests/Clients/run

# Puts the Python client of the tutorial into .build/venv.
examples:
	@scripts/install test
	Tests/Clients/run --prepare examples

bench: release
	scripts/bench $(BENCH)

clean:
	rm -rf .build
