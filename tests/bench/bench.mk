# The benchmark; with PART=servers what each web server costs, with PART=tls what TLS to Redis does, with PART=pairs
# OLD=FILE this build beside another program. BENCH_ARGS=--quick and the like go to run.py, servers.py, tls.py or pairs.py;
# `--help` lists them.
PART := run
BENCH := $(patsubst %,$(B)/tests/bench/%,load publish floor)

$(B)/tests/bench/publish: BENCH_LIBS = $(shell pkg-config --libs hiredis)
$(BENCH): %: %.o $(B)/tests/bench/common.o
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(BENCH_LIBS)

.PHONY: bench bench-programs
bench-programs: $(BENCH)
bench: all $(BENCH)
	/usr/bin/python3 tests/bench/$(PART).py --build $(B) $(if $(OLD),--old $(OLD)) $(BENCH_ARGS)
