# Fuzzing, by libFuzzer. FUZZ_SECONDS is for each target. What was found before stands in corpus/
# and is only read; new finds go to $(B)/fuzz/, and an input that fails is left there for a test.
FUZZ_SECONDS ?= 60
FUZZ_FLAGS   := -g -O1 -fno-omit-frame-pointer \
                -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_OBJ     := $(patsubst %.c,$(B)/fuzz/%.o,$(filter-out app/main.c,$(SRC)))
FUZZ         := $(patsubst tests/fuzz/fuzz_%.c,$(B)/fuzz/fuzz_%,$(wildcard tests/fuzz/fuzz_*.c))

$(B)/fuzz/%.o: %.c
	$(SHOW) CC $@
	@mkdir -p $(@D)
	clang $(WARN) $(CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(B)/fuzz/fuzz_%: $(B)/fuzz/tests/fuzz/fuzz_%.o $(FUZZ_OBJ)
	$(SHOW) LINK $@
	clang $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

FUZZ_RUNS := $(patsubst $(B)/fuzz/fuzz_%,fuzz-%,$(FUZZ))
.PHONY: fuzz $(FUZZ_RUNS)
fuzz: $(FUZZ_RUNS)
$(FUZZ_RUNS): fuzz-%: $(B)/fuzz/fuzz_%
	@mkdir -p $(B)/fuzz/found/$*
	$< -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
	  -artifact_prefix=$(B)/fuzz/$*- $(B)/fuzz/found/$* $(wildcard tests/fuzz/corpus/$*)

# Whole requests, against the program with its sanitizers.
REQUESTS ?= 1000000
.PHONY: fuzz-requests
fuzz-requests: asan
	SLUICE=$(B)/asan/sluice FUZZ_REQUESTS=$(REQUESTS) /usr/bin/python3 -m pytest -q -s -p no:cacheprovider \
	  tests/integration/test_fuzzed_requests.py
