# SPDX-License-Identifier: Apache-2.0
# attest: `make help` lists what can be made.
#
# A file added to a room is built without a change here.  Kernels are compiled once an ISA level; the
# level renames the file's descriptor (att_kernel_<stem> to att_kernel_<stem>_<level>), and
# kernels/table.c picks the best level the machine has.

PROFILE ?= release
B       := build/$(PROFILE)
CC      ?= gcc
PREFIX  ?= /usr/local
PKGS    := libcjson openblas libpcre2-8 sqlite3 libxxhash libcrypto
MODEL   := datasets/models/SmolLM2-135M-Instruct.Q4_1.gguf
DEPS    := gcc libc6-dev make pkg-config git ca-certificates libcunit1-dev libcjson-dev \
           libopenblas-pthread-dev libpcre2-dev libsqlite3-dev libxxhash-dev libssl-dev sqlite3 \
           gnuplot-nox python3 python3-pip python3-jsonschema python3-yaml
FULL    := chromium fonts-dejavu-core
PEERS   := python3-venv python3-dev g++ cmake

WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CFLAGS  += -std=c11 -D_GNU_SOURCE -g $(WARN) -fno-strict-aliasing -pthread -MMD -MP \
           -I. -Ikernels -Iharness $(PKG_CFLAGS)
LDLIBS  += $(PKG_LIBS) -lm -ldl -pthread
OPT_release  := -O2
OPT_asan     := -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT_tsan     := -O1 -fsanitize=thread
OPT_coverage := -O0 --coverage
OPT_fuzz     := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
CFLAGS  += $(OPT_$(PROFILE))
LDFLAGS += $(filter -fsanitize% --coverage,$(OPT_$(PROFILE)))
# Oracles and error measures keep every rounding where the source puts it.
NOFMA   := kernels/exact/reference_f64.c kernels/different/dot_in_order.c $(wildcard harness/core/error*.c)

ARCH    := $(shell $(CC) -dumpmachine | cut -d- -f1)
LEVELS_x86_64 := plain v3 v4
# Slow builds hold one level; another: make asan LEVELS=v4.
SLOW_x86_64   := v3
SLOW    := $(filter asan tsan coverage fuzz,$(PROFILE))
LEVELS  := $(or $(if $(SLOW),$(SLOW_$(ARCH))),$(LEVELS_$(ARCH)),plain)
FLAGS_plain :=
FLAGS_v3 := -march=x86-64-v3
FLAGS_v4 := -march=x86-64-v4 -mprefer-vector-width=512

KERNEL_SRC := $(wildcard kernels/exact/*.c kernels/sparse/*.c kernels/linear/*.c kernels/memory/*.c \
                kernels/heads/*.c kernels/controls/*.c kernels/zoo/*.c kernels/different/*.c)
HOUSE_SRC  := $(wildcard kernels/table.c datasets/*.c harness/base/*.c harness/core/*.c harness/model/*.c \
                harness/gate/*.c evals/*.c evals/*/*.c reports/*.c)
PLOT_SRC   := $(wildcard reports/plots/*.gp)
PAGE_SRC   := $(wildcard reports/*.css reports/*.js)
CLI_FILES  := $(wildcard harness/cli/files/*) kernels/plugin/template.c ci/plugin/attest.mk \
                ci/policies/default.json ci/github/example.yml ci/gitlab/attest.yml
CLI_SRC    := $(wildcard harness/cli/*.c)
TEST_SRC   := $(wildcard */tests/test_*.c */*/tests/test_*.c)
PLUGIN_SRC := $(wildcard harness/core/tests/plugins/*.c kernels/plugin/*.c)
ALL_SRC     = $(shell git ls-files --cached --others --exclude-standard '*.c' '*.h')

KERNEL_OBJ := $(foreach l,$(LEVELS),$(KERNEL_SRC:%.c=$(B)/%.$(l).o))
HOUSE_OBJ  := $(HOUSE_SRC:%.c=$(B)/%.o) $(PLOT_SRC:%=$(B)/%.bin.o) $(PAGE_SRC:%=$(B)/%.bin.o)
CLI_OBJ    := $(CLI_SRC:%.c=$(B)/%.o) $(CLI_FILES:%=$(B)/%.bin.o) $(B)/heads.o
TESTS      := $(TEST_SRC:%.c=$(B)/%)
FUZZERS    := $(patsubst %.c,$(B)/%,$(wildcard */tests/fuzz_*.c */*/tests/fuzz_*.c))
PLUGINS    := $(PLUGIN_SRC:%.c=$(B)/%.so)
LIB        := $(B)/libattest.a
ATTEST     := $(if $(CLI_SRC),$(B)/attest)

# Builds on all processors, where make was not told how many jobs it may have.
JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

all: $(LIB) $(ATTEST) $(ATTEST:%=%.1) $(PLUGINS) ## build the program: build/release/attest

deps: packages model ## install Debian packages and fetch the language model

packages: ## install the Debian packages alone
	@ci/scripts/deps.sh $(DEPS)

deps-full: ## what test-full needs: a browser
	@ci/scripts/deps.sh $(FULL)

model: ## fetch and check the language model alone
	@ci/scripts/model.sh $(MODEL)

eval: model ## the release evaluation: a verdict on every kernel, reports in runs/latest
	@$(MAKE) --no-print-directory $(JOBS) all
	$(ATTEST) run --suite release

gate: all ## what a pull request must pass, under a minute
	$(ATTEST) run --suite gate

smoke: all ## a few seconds, while editing
	$(ATTEST) run --suite smoke

mutants: all ## small wrong changes of our own kernels: how many does the gate see?
	ci/scripts/mutate.py $(B)/mutants
	$(ATTEST) mutants $(B)/mutants --least 0.98

bench: all ## how fast the kernels and the model's forward pass are
	$(ATTEST) bench

test: ## every unit test and source check; last line: N passed, N failed, N skipped
	@$(MAKE) --no-print-directory $(JOBS) all $(TESTS)
	@ATT_BUILD=$(B) ci/scripts/run_tests.sh $(B) $(TESTS) ci/scripts/check_includes.sh ci/scripts/check_rows.sh \
	  ci/tests/test_checks.sh ci/tests/test_ci.sh

# Tests fork from programs that have threads; OpenBLAS's own threads are not instrumented.
tsan: export TSAN_OPTIONS := die_after_fork=0
tsan: export OPENBLAS_NUM_THREADS := 1
test-full: all ## the report in a headless Chromium; pictures of it in build/release/pages
	@reports/tests/browse_report.py $(ATTEST) $(B)/pages

asan tsan: ## the tests under AddressSanitizer + UBSan, or ThreadSanitizer
	@$(MAKE) --no-print-directory PROFILE=$@ test

FUZZ_SECONDS ?= 60
fuzz: ## libFuzzer (clang) on the file readers, FUZZ_SECONDS each
	@$(MAKE) --no-print-directory PROFILE=fuzz CC=clang run-fuzzers

run-fuzzers: $(FUZZERS)
	@set -e; for f in $^; do echo "fuzz: $$f"; mkdir -p $(B)/corpus/$$(basename $$f); \
	  $$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=4096 -verbosity=0 \
	    -artifact_prefix=$(B)/ $(B)/corpus/$$(basename $$f); done

coverage: ## the tests with gcov, line coverage a room
	@$(MAKE) --no-print-directory PROFILE=coverage test
	@ci/scripts/coverage.sh build/coverage

lint: ## include rules, rows, text rules, formatting, cppcheck where installed
	@ci/scripts/lint.sh

format: ## clang-format every C file
	clang-format -i $(ALL_SRC)

peers: ## a virtual environment with what attest is compared with (builds llama-cpp-python)
	@ci/scripts/deps.sh $(PEERS)
	python3 -m venv .venv
	.venv/bin/pip install --quiet numpy gguf llama-cpp-python

install: all ## install below DESTDIR and PREFIX (/usr/local)
	@ci/scripts/install.sh $(ATTEST) '$(DESTDIR)' '$(PREFIX)'

clean: ## remove what was built
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z -]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 12

define LEVEL_RULE
$(B)/%.$(1).o: %.c
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(FLAGS_$(1)) $$(if $$(filter $$<,$$(NOFMA)),-ffp-contract=off) \
	  -Datt_kernel_$$(notdir $$*)=att_kernel_$$(notdir $$*)_$(1) -c $$< -o $$@
endef
$(foreach l,$(LEVELS),$(eval $(call LEVEL_RULE,$(l))))

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(if $(filter $<,$(NOFMA)),-ffp-contract=off) -c $< -o $@

# A file becomes bytes in the program: reports/plots/x.gp is _binary_reports_plots_x_gp_start to _end.
$(B)/%.bin.o: %
	@mkdir -p $(@D)
	$(LD) -r -b binary -z noexecstack $< -o $@

# The heads of the kernels' files become a table in the program, for `attest show`.
$(B)/heads.c: ci/scripts/heads.awk $(KERNEL_SRC)
	@mkdir -p $(@D)
	@awk -f ci/scripts/heads.awk $(KERNEL_SRC) > $@
$(B)/heads.o: $(B)/heads.c
	$(CC) $(CFLAGS) -c $< -o $@

$(B)/kernels/table.o: CFLAGS += $(LEVELS:%=-DATT_LEVEL_%)

# What was built from what, for env.c; rewritten only when it says something else.
$(B)/harness/core/env.o: CFLAGS += -I$(B)
$(B)/harness/core/env.o: $(B)/build.h
$(B)/build.h: FORCE
	@mkdir -p $(@D)
	@ci/scripts/build_info.sh '$(CC)' '$(strip $(CFLAGS))' '$(PREFIX)' $@

# q, not r: files of equal name from two rooms are both kept.
$(LIB): $(KERNEL_OBJ) $(HOUSE_OBJ)
	@rm -f $@
	ar qcs $@ $^

$(B)/attest: $(CLI_OBJ) $(LIB)
	$(CC) $(LDFLAGS) -rdynamic $^ -o $@ $(LDLIBS)

# `man build/release/attest.1`
$(B)/attest.1: $(B)/attest
	@$< manual >$@.new && mv $@.new $@

$(B)/%.so: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -fPIC -shared $< -o $@ -lm

$(TESTS): $(B)/%: $(B)/%.o $(LIB)
	$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS) -lcunit

$(FUZZERS): $(B)/%: $(B)/%.o $(LIB)
	$(CC) $(LDFLAGS) -fsanitize=fuzzer $^ -o $@ $(LDLIBS)

.SECONDARY:
-include $(shell find build/$(PROFILE) -name '*.d' 2>/dev/null)

FORCE:
.PHONY: FORCE all deps deps-full packages model eval gate smoke mutants bench test test-full asan tsan fuzz run-fuzzers coverage lint format peers install clean help
