# The benchmark, or with PART=servers what each web server costs. BENCH_ARGS='--quick' and the like go to run.py, or
# servers.py; `run.py --help` lists them.
PART := run
BENCH := $(patsubst %,$(B)/tests/bench/%,load publish floor)

$(B)/tests/bench/publish: BENCH_LIBS = $(shell pkg-config --libs hiredis)
$(BENCH): %: %.o $(B)/tests/bench/common.o
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(BENCH_LIBS)

.PHONY: bench bench-programs
bench-programs: $(BENCH)
bench: all $(BENCH)
	/usr/bin/python3 tests/bench/$(PART).py --build $(B) $(BENCH_ARGS)
