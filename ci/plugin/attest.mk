# Checks my_attention with attest: `make -f attest/attest.mk attest-check`, or `include attest/attest.mk`
# at the end of your Makefile.  `attest init` writes this file.
ATTEST        ?= attest
ATTEST_SUITE  ?= smoke
ATTEST_CFLAGS ?= $(shell pkg-config --cflags attest) -I.
# Your own sources (or objects built with -fPIC) that the plugin calls.
ATTEST_LINK   ?=
ATTEST_LIBS   ?= -lm

attest-check: attest-plugin
	$(ATTEST) run --suite $(ATTEST_SUITE) --plugin ./attest/my_attention.so --out attest/runs

attest-plugin: attest/my_attention.so

attest/my_attention.so: attest/my_attention.c $(ATTEST_LINK)
	$(CC) -O2 -fPIC -shared $(ATTEST_CFLAGS) $^ -o $@ $(ATTEST_LIBS)

.PHONY: attest-check attest-plugin
