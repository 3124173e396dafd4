# The front door.  Each target is one line to remember; meson.build says how things are built.
#
#   make deps        install what apt-packages.txt names (Debian 12; nothing to do when all is there)
#   make build       build/bin/: suimitsud, suimitsu-agent, suimitsu
#   sudo make demo   the pretend shop and plant: flat, then watertight (docs/demo.md); demo-stop ends it
#   sudo make check  every test and every check; ends with "N passed, N failed"; with LONG=1 a thousand
#                    random policies through every enforcer, which takes hours
#   sudo make check-ui   the web console, all of it, with new pictures for docs/console
#   make lint        format, tidy, cppcheck, layers, purity
#   make fuzz        fuzz every parser for FUZZ_SECONDS each (default 60)
#   sudo make bench  benchmarks beside their peers; results belong into docs/performance.md
SHELL = /bin/bash
PYTHON = /usr/bin/python3
FUZZ_SECONDS ?= 60

.PHONY: all deps build build-clang build-asan check check-ui web lint fuzz bench demo demo-stop install clean

all: build

deps:
	@tools/deps.sh apt-packages.txt

build/build.ninja:
	@meson setup build >build.setup.log 2>&1 || { cat build.setup.log; rm -rf build build.setup.log; exit 1; }
	@rm -f build.setup.log

build: deps build/build.ninja
	@ninja -C build --quiet

check: deps
	@SUIMITSU_LONG=$(LONG) $(PYTHON) tools/check.py

# All views in both languages and sizes, axe in both themes; the pictures go to docs/console.
check-ui: build
	@SUIMITSU_UI=all SUIMITSU_PICTURES=docs/console $(PYTHON) tools/check.py web

# Renews web/dist after a change in web/src; needs npm.
web:
	@cd web && npm ci --no-audit --no-fund && node build.mjs

lint: build
	@$(PYTHON) tools/check.py lint

fuzz: deps
	@$(PYTHON) tools/check.py --fuzz-seconds $(FUZZ_SECONDS) fuzz

bench: build
	@$(PYTHON) tests/bench/run.py

demo: build
	@lab/demo

demo-stop:
	@lab/demo --stop

install: build
	@meson install -C build --quiet

clean:
	rm -rf build build-clang build-asan build-fuzz
