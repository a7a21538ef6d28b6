# SPDX-License-Identifier: Apache-2.0
# attest: `make help` lists what can be made.
#
# A file added to a room is built without a change here.  Kernels are compiled once an ISA level; the
# level renames the file's descriptor (att_kernel_<stem> to att_kernel_<stem>_<level>), and
# kernels/table.c picks the best level the machine has.

PROFILE ?= release
B       := build/$(PROFILE)
CC      ?= gcc
PKGS    := libcjson openblas libpcre2-8 sqlite3 libxxhash libcrypto
MODEL   := datasets/models/SmolLM2-135M-Instruct.Q4_1.gguf

WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
CFLAGS  += -std=c11 -D_GNU_SOURCE -g $(WARN) -fno-strict-aliasing -pthread -MMD -MP \
           -I. -Ikernels -Iharness $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDLIBS  += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm -ldl -pthread
OPT_release  := -O2
OPT_asan     := -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT_tsan     := -O1 -fsanitize=thread
OPT_coverage := -O0 --coverage
CFLAGS  += $(OPT_$(PROFILE))
LDFLAGS += $(filter -fsanitize% --coverage,$(OPT_$(PROFILE)))
# Oracles and error measures keep every rounding where the source puts it.
NOFMA   := kernels/exact/reference_f64.c harness/core/error.c

ARCH    := $(shell $(CC) -dumpmachine | cut -d- -f1)
LEVELS_x86_64 := plain v3 v4
LEVELS  := $(or $(LEVELS_$(ARCH)),plain)
FLAGS_plain :=
FLAGS_v3 := -march=x86-64-v3
FLAGS_v4 := -march=x86-64-v4 -mprefer-vector-width=512

KERNEL_SRC := $(wildcard kernels/exact/*.c kernels/sparse/*.c kernels/linear/*.c kernels/memory/*.c \
                kernels/heads/*.c kernels/controls/*.c kernels/zoo/*.c)
HOUSE_SRC  := kernels/table.c $(wildcard datasets/*.c harness/base/*.c harness/core/*.c harness/model/*.c \
                harness/gate/*.c evals/*.c evals/*/*.c reports/*.c)
CLI_SRC    := $(wildcard harness/cli/*.c)
TEST_SRC   := $(wildcard */tests/test_*.c */*/tests/test_*.c)
PLUGIN_SRC := $(wildcard harness/core/tests/plugins/*.c kernels/plugin/*.c)

KERNEL_OBJ := $(foreach l,$(LEVELS),$(KERNEL_SRC:%.c=$(B)/%.$(l).o))
HOUSE_OBJ  := $(HOUSE_SRC:%.c=$(B)/%.o)
CLI_OBJ    := $(CLI_SRC:%.c=$(B)/%.o)
TESTS      := $(TEST_SRC:%.c=$(B)/%)
PLUGINS    := $(PLUGIN_SRC:%.c=$(B)/%.so)
LIB        := $(B)/libattest.a

all: $(B)/attest $(PLUGINS) ## build build/release/attest

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

$(LIB): $(KERNEL_OBJ) $(HOUSE_OBJ)
	@rm -f $@
	ar rcs $@ $^

$(B)/attest: $(CLI_OBJ) $(LIB)
	$(CC) $(LDFLAGS) -rdynamic $^ -o $@ $(LDLIBS)

$(B)/%.so: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -fPIC -shared $< -o $@ -lm

$(TESTS): $(B)/%: $(B)/%.o $(LIB)
	$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS) -lcunit

.SECONDARY:
-include $(shell find build/$(PROFILE) -name '*.d' 2>/dev/null)

clean: ## remove what was built
	rm -rf build

.PHONY: all clean
