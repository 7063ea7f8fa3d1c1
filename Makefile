# Sluice. `make help` lists what can be made; docs/architecture.md draws the tree.
ifeq ($(origin CC),default)
CC      := gcc
endif
B       ?= build
PREFIX  ?= /usr/local
VERSION := 0.2.0

# A warning is an error for whoever works on Sluice, and not for whoever builds a release.
WERROR  ?= $(if $(wildcard .git),-Werror)

# What the program is linked with; iniparser ships no .pc file in Debian 12.
PKGS    := libuv hiredis json-c fcgi lua5.4 libssl libcrypto
# Before `make deps` or `make run` has installed it, there may be no pkg-config to ask.
ifneq ($(shell command -v pkg-config 2>/dev/null),)
# Compressed sessions of Django and Flask; without it they are refused with the reason.
ifeq ($(shell pkg-config --exists zlib && echo yes),yes)
PKGS       += zlib
ZLIB       := -DHAVE_ZLIB
endif
PKG_LIBS   := $(shell pkg-config --libs $(PKGS))
PKG_CFLAGS := $(ZLIB) $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS)))
endif
LIBS    := $(PKG_LIBS) -liniparser
WARN    := -std=gnu11 -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion \
           -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wundef -Wvla \
           -Wpointer-arith -Wcast-align -Wwrite-strings $(WERROR)
CFLAGS  ?= -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
LDFLAGS ?= -Wl,-z,relro,-z,now
# Modules call what <sluice/handler.h> declares.
EXPORT  := -rdynamic
override CPPFLAGS += -D_GNU_SOURCE -DSLUICE_VERSION='"$(VERSION)"' -Iinclude -Iapp \
           $(PKG_CFLAGS) -isystem /usr/include/iniparser

SRC     := $(wildcard app/*.c app/*/*.c handlers/*.c)
LIBOBJ  := $(patsubst %.c,$(B)/%.o,$(filter-out app/main.c,$(SRC)))
UNIT    := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
C_FILES := $(SRC) $(wildcard handlers/examples/*.c docs/skeleton/*.c tests/*/*.c)
H_FILES := $(wildcard include/sluice/*.h app/*.h app/*/*.h tests/*/*.h)

# Short lines; V=1 shows the commands.
ifndef V
.SILENT:
SHOW := @printf '  %-4s %s\n'
else
SHOW := @:
endif

# Objects stay, so that make's last line is the tests' last line.
.SECONDARY:

.PHONY: all
all: $(B)/sluice

$(B)/sluice: $(B)/app/main.o $(B)/libsluice.a
	$(SHOW) LINK $@
	$(CC) $(CFLAGS) $(LDFLAGS) $(EXPORT) -o $@ $^ $(LIBS)

$(B)/libsluice.a: $(LIBOBJ)
	$(SHOW) AR $@
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/%.o: %.c
	$(SHOW) CC $@
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(B)/libsluice.a
	$(SHOW) LINK $@
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# Handlers that are compiled apart, as modules: H=DIR for your own, which become DIR/*.so.
H       ?= handlers/examples
MODULES := $(patsubst %.c,$(if $(filter handlers/examples,$(H)),$(B)/%.so,%.so),$(wildcard $(H)/*.c))
.PHONY: handlers
handlers: $(MODULES)
define build-module
	$(SHOW) SO $@
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -fPIC -shared -o $@ $<
endef
$(B)/%.so: %.c include/sluice/handler.h
	$(build-module)
%.so: %.c include/sluice/handler.h
	$(build-module)

# Variants, each in a folder of its own.
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all
.PHONY: asan clang
asan:
	$(MAKE) B=$(B)/asan CFLAGS='-O1 -g1 -fno-omit-frame-pointer $(SAN)' LDFLAGS='$(SAN)' all unit-programs handlers
clang:
	$(MAKE) B=$(B)/clang CC=clang all unit-programs handlers

.PHONY: deps deps-run
deps:			# every package, for building, running and testing
	packaging/deps all
deps-run:
	packaging/deps run

.PHONY: run
run: deps-run
	@$(MAKE) --no-print-directory all
	@conf/demo/run $(if $(PORT),--port $(PORT))

# Tests. Each group prints its own runner's closing line, and the last line sums them up.
.PHONY: test test-all test-built unit-programs
test: deps
	@$(MAKE) --no-print-directory -j$(shell nproc) test-built
	tests/run
test-all: test-built
	tests/run
test-built: all unit-programs handlers
	@$(MAKE) --no-print-directory asan
	@$(MAKE) --no-print-directory clang

# For every change, in seconds: unit tests, and one route through lighttpd.
.PHONY: check
check: all unit-programs
	tests/run check

unit-programs: $(UNIT)

# Everything at once, by a seed: make stress SECONDS=300 SEED=7
.PHONY: stress
stress: asan
	SLUICE=$(B)/asan/sluice /usr/bin/python3 tests/stress/stress.py --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1)

# Subscribers who live five seconds, and whether anything is left of them: make soak TIME=30m
.PHONY: soak
soak: all
	SLUICE=$(B)/sluice /usr/bin/python3 tests/stress/soak.py --seconds $(or $(TIME),60s)

# Each kind of restart under a crowd behind lighttpd and nginx: make crowd CLIENTS=2000
.PHONY: crowd
crowd: all
	SLUICE=$(B)/sluice /usr/bin/python3 tests/chaos/crowd.py --clients $(or $(CLIENTS),2000)

# Strikes on Redis, workers, the program and web servers, by a seed or several: make chaos TIME=3m SEED=1..10 REDIS=sentinel
.PHONY: chaos
chaos: all
	SLUICE=$(B)/sluice /usr/bin/python3 tests/chaos/chaos.py --seconds $(or $(TIME),60s) --seed $(or $(SEED),1) --redis $(or $(REDIS),single)

# SINCE=REV: only what has changed since that commit.
.PHONY: lint format
lint: all
	CFLAGS="$(WARN) $(subst ",\",$(CPPFLAGS))" packaging/lint $(SINCE)
format:
	clang-format -i $(C_FILES) $(H_FILES)
	packaging/format-manuals docs/*.[1-9]

# Where things go. DESTDIR stands before each; a file of configuration that is there already stays.
SBINDIR    ?= $(PREFIX)/sbin
INCLUDEDIR ?= $(PREFIX)/include
DATADIR    ?= $(PREFIX)/share
sysconfdir ?= /etc
UNITDIR    ?= $(if $(filter /usr,$(PREFIX)),/lib/systemd/system,$(sysconfdir)/systemd/system)

# What is installed: FROM MODE TO, a line each. install and uninstall read the same list.
define INSTALLED
$(B)/sluice 755 $(SBINDIR)/sluice
$(foreach f,$(wildcard include/sluice/*.h),$(f) 644 $(INCLUDEDIR)/sluice/$(notdir $(f))
)$(B)/packaging/sluice.pc 644 $(DATADIR)/pkgconfig/sluice.pc
docs/sluice-handler.3 644 $(DATADIR)/man/man3/sluice-handler.3
docs/sluice.ini.5 644 $(DATADIR)/man/man5/sluice.ini.5
docs/sluice.7 644 $(DATADIR)/man/man7/sluice.7
docs/sluice.8 644 $(DATADIR)/man/man8/sluice.8
$(foreach f,README.md CHANGELOG.md SECURITY.md $(wildcard docs/*.md docs/*/*.md),$(f) 644 $(DATADIR)/doc/sluice/$(f)
)$(foreach f,$(wildcard conf/monitoring/*),$(f) 644 $(DATADIR)/sluice/monitoring/$(notdir $(f))
)conf/sluice.ini 644 $(DATADIR)/doc/sluice/sluice.ini.example
conf/redis.acl 644 $(DATADIR)/doc/sluice/redis.acl
conf/redis-sentinel.acl 644 $(DATADIR)/doc/sluice/redis-sentinel.acl
conf/redis-cluster.acl 644 $(DATADIR)/doc/sluice/redis-cluster.acl
conf/record.lua 644 $(DATADIR)/sluice/record.lua
$(foreach f,$(filter-out www/page.js,$(wildcard www/*.js www/*.ts)),$(f) 644 $(DATADIR)/sluice/$(f)
)$(foreach f,$(wildcard conf/gallery/*.ini conf/gallery/*.lua handlers/examples/*.c),$(f) 644 $(DATADIR)/doc/sluice/examples/$(notdir $(f))
)conf/lighttpd/60-sluice.conf 644 $(sysconfdir)/lighttpd/conf-available/60-sluice.conf
conf/lighttpd/61-sluice-come-back.conf 644 $(sysconfdir)/lighttpd/conf-available/61-sluice-come-back.conf
conf/lighttpd/come-back.lua 644 $(sysconfdir)/lighttpd/sluice-come-back.lua
conf/apache/sluice-come-back.conf 644 $(sysconfdir)/apache2/conf-available/sluice-come-back.conf
conf/apache/come-back.lua 644 $(sysconfdir)/apache2/sluice-come-back.lua
bridges/php/Sluice.php 644 $(DATADIR)/sluice/php/Sluice.php
bridges/python/sluice.py 644 $(DATADIR)/sluice/python/sluice.py
conf/nginx/sluice-login.conf 644 $(DATADIR)/sluice/nginx/sluice-login.conf
conf/apache/sluice-login.conf 644 $(DATADIR)/sluice/apache/sluice-login.conf
bridges/django/sluice_django.py 644 $(DATADIR)/sluice/python/sluice_django.py
conf/django/sluice_sessions.py 644 $(DATADIR)/sluice/python/sluice_sessions.py
bridges/laravel/SluiceBroadcaster.php 644 $(DATADIR)/sluice/php/SluiceBroadcaster.php
conf/haproxy/sluice.cfg 644 $(DATADIR)/sluice/haproxy/sluice.cfg
conf/caddy/sluice.caddy 644 $(DATADIR)/sluice/caddy/sluice.caddy
conf/apache/sluice.conf 644 $(sysconfdir)/apache2/conf-available/sluice.conf
conf/nginx/sluice.conf 644 $(sysconfdir)/nginx/snippets/sluice.conf
packaging/sluice.ini 640 $(sysconfdir)/sluice/sluice.ini
packaging/logrotate 644 $(sysconfdir)/logrotate.d/sluice
$(B)/packaging/sluice.service 644 $(UNITDIR)/sluice.service
packaging/systemd/sluice.socket 644 $(UNITDIR)/sluice.socket
packaging/systemd/tmpfiles.conf 644 $(if $(filter /usr,$(PREFIX)),/usr/lib,$(sysconfdir))/tmpfiles.d/sluice.conf
packaging/systemd/sysusers.conf 644 $(if $(filter /usr,$(PREFIX)),/usr/lib,$(sysconfdir))/sysusers.d/sluice.conf
packaging/completion/sluice.bash 644 $(DATADIR)/bash-completion/completions/sluice
packaging/completion/_sluice 644 $(DATADIR)/zsh/vendor-completions/_sluice
endef
export INSTALLED

$(B)/packaging/%: packaging/%.in
	@mkdir -p $(@D)
	sed -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(VERSION)|; s|@SBINDIR@|$(SBINDIR)|' $< >$@

.PHONY: install uninstall deb
install: all $(B)/packaging/sluice.pc $(B)/packaging/sluice.service
	packaging/install '$(DESTDIR)' '$(sysconfdir)'
uninstall:
	packaging/install --remove '$(DESTDIR)' '$(sysconfdir)'
deb:			# the Debian packages, in build/deb
	packaging/deps deb
	packaging/build-deb '$(VERSION)'

# The site of the documentation. packaging/deps has what it needs.
.PHONY: docs
docs:
	packaging/deps docs
	docs/site/build $(B)/docs

.PHONY: help clean
help:
	@echo 'make            builds build/sluice'
	@echo 'make deps       installs the Debian packages that are missing'
	@echo 'make handlers   handlers as modules: those of H=DIR, or handlers/examples'
	@echo 'make run        a private Redis, lighttpd and Sluice with the demo page; Ctrl-C ends them'
	@echo 'make test       every test: unit, integration, browser, sanitizers'
	@echo 'make check      the quick one, for every change: unit tests, one route through lighttpd'
	@echo 'make bench      the benchmarks, with a table at the end; PART=servers: what each web server costs, PART=tls: what TLS to Redis does'
	@echo 'make lint       the house'"'"'s rules, format, cppcheck, clang-tidy; SINCE=REV: of what has changed'
	@echo 'make chaos      strikes on everything, and each promise judged: TIME=60s SEED=1, or SEED=1..10; REDIS=single|sentinel'
	@echo 'make crowd      restarts under a crowd behind web servers, and how it comes back: CLIENTS=2000'
	@echo 'make soak       short lives, and what is left of them: TIME=30m'
	@echo 'make stress     everything at once, by a seed: SECONDS=60 SEED=1'
	@echo 'make fuzz       each fuzz target for FUZZ_SECONDS (60)'
	@echo 'make install    PREFIX=/usr/local DESTDIR= sysconfdir=/etc; make uninstall takes it away'
	@echo 'make deb        the Debian packages, in build/deb'
	@echo 'make docs       the documentation as a site, in build/docs'
	@echo 'make clean      removes build/'
clean:
	rm -rf build

-include tests/bench/bench.mk tests/fuzz/fuzz.mk
