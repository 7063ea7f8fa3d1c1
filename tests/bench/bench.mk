# The benchmark. BENCH_ARGS='--quick' and the like go to run.py; `run.py --help` lists them.
BENCH := $(patsubst %,$(B)/tests/bench/%,load publish floor)

$(B)/tests/bench/publish: BENCH_LIBS = $(shell pkg-config --libs hiredis)
$(BENCH): %: %.o $(B)/tests/bench/common.o
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(BENCH_LIBS)

.PHONY: bench bench-programs
bench-programs: $(BENCH)
bench: all $(BENCH)
	/usr/bin/python3 tests/bench/run.py --build $(B) $(BENCH_ARGS)
