# fieldgate - sensor gateway daemon for farms. `make help` lists what can be made.
VERSION := 0.1.0
PREFIX  ?= /usr
DESTDIR ?=
SYSCONFDIR ?= /etc
CC      ?= gcc
PYTHON  ?= /usr/bin/python3
# release | asan (address and undefined behaviour) | tsan (data races); each has its own folder under build/
FLAVOR  ?= release
JOBS    ?= $(shell nproc)

B := build/$(FLAVOR)

# libpaho-mqtt3as is the asynchronous client with TLS; it ships no pkg-config file.
LIBS := -lmodbus -lpaho-mqtt3as -lsqlite3 -lyaml -lcjson -lz -lssl -lcrypto -lsystemd -lm -lpthread

CFLAGS_release  := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
CFLAGS_asan     := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# Warnings are those of gcc; clang has others.
CFLAGS_fuzz     := -O1 -g -w -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
CFLAGS_tsan     := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
LDFLAGS_asan    := -fsanitize=address,undefined
LDFLAGS_fuzz    := -fsanitize=address,undefined
LDFLAGS_tsan    := -fsanitize=thread

# Truncation is what snprintf is for; that warning changes its mind with the optimisation level.
WARN := -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wvla \
        -Wno-format-truncation -Werror
CPPFLAGS    += -D_GNU_SOURCE -DFG_VERSION='"$(VERSION)"' -DFG_SHARE='"$(PREFIX)/share/fieldgate"' \
               -DFG_LOCALE='"$(PREFIX)/share/locale"'
ALL_CFLAGS  := -std=gnu11 $(WARN) $(CFLAGS_$(FLAVOR)) $(CFLAGS)
ALL_LDFLAGS := $(LDFLAGS_$(FLAVOR)) $(LDFLAGS)

SRC     := $(wildcard gateway/*.c drivers/*.c)
HEADERS := $(wildcard gateway/*.h drivers/*.h)
OBJ     := $(SRC:%.c=$(B)/%.o)
LIBOBJ  := $(filter-out $(B)/gateway/main.o,$(OBJ))
UNIT    := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
# These count allocations, which sanitizers would not have. `make check` builds them too, so that they
# keep up with store.h.
STORE_BENCH := $(B)/bench/bench_store $(B)/bench/bare_sqlite $(B)/bench/count_alloc.so
SIMS    := $(patsubst tests/%.c,$(B)/%,$(filter-out %/unit_table.c,$(wildcard tests/sim/*.c tests/bench/*.c)))
SIMS    := $(filter-out $(STORE_BENCH) $(B)/bench/count_alloc,$(SIMS))
LANGUAGES := $(patsubst po/%.po,%,$(wildcard po/*.po))
CATALOGS  := $(LANGUAGES:%=$(B)/locale/%/LC_MESSAGES/fieldgate.mo)
C_FILES := $(SRC) $(HEADERS) $(wildcard tests/unit/*.[ch] tests/tools/*.[ch] tests/faults/*.[ch] tests/sim/*.[ch] tests/bench/*.[ch])

# A temporary folder and a Python that leaves no caches behind: `git status` is clean after every target.
export PYTHONDONTWRITEBYTECODE := 1
# Tests read what is printed: in English, whatever the contributor speaks.
export LC_ALL := C.UTF-8
unexport LANGUAGE
# These tests wait most of their time, so more of them than cores run side by side.
WORKERS ?= 4
PYTEST := $(PYTHON) -m pytest -p no:cacheprovider -q -rfE --durations=5 -n $(WORKERS)

.PHONY: all
all: $(B)/fieldgate $(CATALOGS) ## build the program and its translations

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

# ---- building ----

$(B)/fieldgate: $(B)/gateway/main.o $(B)/libfieldgate.a
	@echo "  LINK  $@"
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/libfieldgate.a: $(LIBOBJ)
	@rm -f $@
	@$(AR) rcs $@ $^

$(B)/%.o: %.c $(B)/settings
	@mkdir -p $(@D)
	@echo "  CC    $@"
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Simulated time on a real line: tests/unit/modbus_time.h.
IN_SIMULATED_TIME := $(addprefix $(B)/unit/,test_modbus test_modbus_link test_modbus_scan)
$(IN_SIMULATED_TIME): WRAP := -Wl,--wrap=clock_mono_us,--wrap=clock_mono_ms,--wrap=clock_sleep_until_us,--wrap=ppoll \
  -Wl,--wrap=read,--wrap=send,--wrap=modbus_socket_connect,--wrap=modbus_send_raw_request,--wrap=modbus_connect

# A name server that does not answer: tests/unit/test_mqtt_lookup.c.
$(B)/unit/test_gateway: WRAP := -Wl,--wrap=store_turn_take,--wrap=store_turn_try
$(B)/unit/test_store_turn: WRAP := -Wl,--wrap=clock_mono_ms
$(addprefix $(B)/unit/,test_mqtt_lookup test_uplink_return): WRAP := -Wl,--wrap=mqtt_names_ask

$(B)/unit/%: tests/unit/%.c $(B)/libfieldgate.a
	@mkdir -p $(@D)
	@echo "  TEST  $@"
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -Itests/unit -MMD -MP $(ALL_LDFLAGS) $(WRAP) -o $@ $< $(B)/libfieldgate.a $(LIBS) -lcmocka

$(B)/tools/%: tests/tools/%.c $(B)/libfieldgate.a
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(B)/libfieldgate.a $(LIBS)

$(B)/locale/%/LC_MESSAGES/fieldgate.mo: po/%.po
	@mkdir -p $(@D)
	@msgfmt -o $@ $<

# Simulators and reference masters stand by themselves: nothing of what they judge is in them.
$(B)/sim/%: tests/sim/%.c tests/sim/unit_table.c $(wildcard tests/sim/*.h) $(B)/settings
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< tests/sim/unit_table.c

$(B)/bench/bare_sqlite: tests/bench/bare_sqlite.c tests/bench/bench_values.h $(B)/settings
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< -lsqlite3

# It stands in for functions as the store sees them: bench_store.c says why.
$(B)/bench/bench_store: tests/bench/bench_store.c tests/bench/bench_values.h $(B)/libfieldgate.a
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -Wl,--wrap=clock_mono_ms,--wrap=pthread_cond_timedwait,--wrap=sqlite3_step \
	  -o $@ $< $(B)/libfieldgate.a $(LIBS)

$(B)/bench/bare_paho: tests/bench/bare_paho.c $(B)/settings
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< -lpaho-mqtt3as -lpthread

$(B)/bench/count_alloc.so: tests/bench/count_alloc.c $(B)/settings
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -fPIC -shared -o $@ $<

$(B)/bench/light_clients: tests/bench/light_clients.c $(B)/settings
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< -lssl -lcrypto

$(B)/bench/%: tests/bench/%.c $(B)/settings
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< -lmodbus

# Puts days into a store in seconds, for tests that would have to wait for them.
FILL := $(B)/tools/fill_store

# Loaded before the program in a test: tests/tools/preload.py. No sanitizer is in them: its runtime must come first.
PRELOADS := $(patsubst %,$(B)/faults/%.so,clock_step disk_error resolver)
$(PRELOADS): $(B)/faults/%.so: tests/faults/%.c $(B)/settings
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) -std=gnu11 $(WARN) -O1 -g -fPIC -shared -o $@ $< -ldl

.PHONY: sims
sims: $(SIMS) $(FILL) $(PRELOADS)

# It stands in for system calls, and for two functions as the store alone sees them: tests/faults/crash_shim.h.
$(B)/faults/crash: $(wildcard tests/faults/crash*.[ch]) $(B)/libfieldgate.a
	@mkdir -p $(@D)
	@echo "  TEST  $@"
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -Wl,--wrap=stat,--wrap=clock_mono_ms -o $@ $(filter %.c,$^) \
	  $(B)/libfieldgate.a $(LIBS)

# Everything is built again when the compiler, its flags or the prefix change.
SETTINGS := $(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS)
$(B)/settings: force
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(SETTINGS))' | cmp -s - $@ || echo '$(subst ','\'',$(SETTINGS))' > $@
.PHONY: force
force:

-include $(OBJ:.o=.d) $(UNIT:=.d)

.PHONY: units
units: $(UNIT)

.PHONY: clean
clean: ## remove what was built
	rm -rf build

# ---- packages ----

.PHONY: deps
deps: ## install the Debian packages that building and testing need (as root or through sudo)
	@tests/tools/install_packages.sh build test

.PHONY: deps-build
deps-build:
	@tests/tools/install_packages.sh build demo

.PHONY: deb
deb: ## build the Debian package build/fieldgate_VERSION_ARCHITECTURE.deb
	@tests/tools/install_packages.sh build package
	@debian/build_package.sh $(VERSION) build

# ---- checks and tests ----

.PHONY: check
check: ## unit tests, layers, format, shipped files: seconds after a build
	@$(MAKE) --no-print-directory -j$(JOBS) all units $(STORE_BENCH)
	@tests/tools/run_units.sh $(B)/unit
	@$(MAKE) --no-print-directory check-static

.PHONY: check-static
check-static: $(B)/fieldgate $(FILL) $(B)/tools/config_docs
	@echo "== layers, doors, sizes"; $(PYTHON) tests/tools/check_layers.py
	@echo "== message codes"; $(PYTHON) tests/tools/check_messages.py
	@echo "== translations"; $(PYTHON) tests/tools/check_texts.py
	@echo "== profiles"; $(PYTHON) tests/tools/check_profiles.py
	@echo "== format"; clang-format --dry-run --Werror $(C_FILES)
	@echo "== shipped configuration"; $(B)/fieldgate check --config config/fieldgate.yaml
	@echo "== generated documents"; tests/tools/generated.sh $(B)/tools/config_docs check
	@echo "== list of files"; $(PYTHON) tests/tools/file_table.py check
	@echo "== examples in the documents"; $(PYTHON) tests/tools/check_docs.py
	@echo "== what the documents point at"; FIELDGATE=$(B)/fieldgate $(PYTHON) tests/tools/check_links.py
	@$(PYTHON) tests/tools/screens.py check
	@echo "== the arithmetic of docs/PROVINCE.md"; $(PYTHON) tests/bench/province.py check
	@echo "== benchmarks can be loaded"; $(PYTHON) tests/bench/bench.py list > /dev/null && \
	  $(PYTHON) tests/bench/bench_peers.py list > /dev/null
	@echo "== tests can be loaded"; $(PYTEST) --collect-only tests/integration tests/faults > $(B)/collected.log 2>&1 || \
	  { tail -n 20 $(B)/collected.log; exit 1; }
	@echo "== man pages"; mandoc -Tlint -Wwarning docs/fieldgate.1 docs/fieldgate.yaml.5

.PHONY: docs
docs: $(B)/tools/config_docs ## write what is generated: docs/CONFIG.md, its schema, the list of files
	@tests/tools/generated.sh $(B)/tools/config_docs write
	@$(PYTHON) tests/tools/file_table.py write

.PHONY: screens
screens: all ## take the screens of docs/vi from the running program: a minute
	@FIELDGATE=$(abspath $(B)/fieldgate) $(PYTHON) tests/tools/screens.py write

.PHONY: texts
texts: ## bring the translations in po/ up to date with the sources
	@po/texts.sh write

.PHONY: format
format: ## lay out all C files
	clang-format -i $(C_FILES)

.PHONY: lint
lint: ## cppcheck
	@echo "== cppcheck"
	@cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability --inline-suppr \
	  --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches -j $(JOBS) -D_GNU_SOURCE \
	  -DFG_VERSION='"x"' -DFG_SHARE='"/x"' -DFG_LOCALE='"/x"' gateway drivers

.PHONY: sanitize
sanitize:
	@echo "== unit tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	@$(MAKE) --no-print-directory -j$(JOBS) FLAVOR=asan all units
	@tests/tools/run_units.sh build/asan/unit
	@echo "== unit tests under ThreadSanitizer"
	@$(MAKE) --no-print-directory -j$(JOBS) FLAVOR=tsan all units
	@tests/tools/run_units.sh build/tsan/unit

build/promtool: tests/tools/get_promtool.sh
	@tests/tools/get_promtool.sh $@

.PHONY: integration
integration: $(B)/fieldgate sims $(if $(filter release,$(FLAVOR)),$(B)/bench/count_alloc.so) build/promtool
	@echo "== integration tests with $(B)/fieldgate"
	@FIELDGATE=$(abspath $(B)/fieldgate) $(PYTEST) tests/integration

DAYS ?= 30
.PHONY: month
month: $(B)/fieldgate $(FILL) ## DAYS=30 offline at 40 values a minute, drained through 50 kbit/s: half a minute a day
	@echo "== $(DAYS) days offline"
	@FG_DAYS=$(DAYS) FIELDGATE=$(abspath $(B)/fieldgate) $(PYTHON) -m pytest -p no:cacheprovider -q -s tests/month

N ?= 2000
.PHONY: crash
crash: $(B)/faults/crash ## power cuts at N=2000 places in the life of a database; FG_SEED=n repeats them
	@echo "== power cuts"
	@$(B)/faults/crash -n $(N) $(if $(FG_SEED),-s $(FG_SEED))

.PHONY: faults
faults: $(B)/fieldgate crash $(PRELOADS)
	@echo "== faults with $(B)/fieldgate"
	@FIELDGATE=$(abspath $(B)/fieldgate) $(PYTEST) tests/faults

HOSTILE_SECONDS ?= 8
.PHONY: hostile
hostile: $(B)/fieldgate ## a broker that means harm, HOSTILE_SECONDS=8: memory (release), leaks and damage (FLAVOR=asan)
	@FG_HOSTILE_SECONDS=$(HOSTILE_SECONDS) FIELDGATE=$(abspath $(B)/fieldgate) $(PYTEST) tests/faults/test_hostile_broker.py

T ?= 10min
.PHONY: soak
soak: $(B)/fieldgate $(PRELOADS) ## random faults for T=2h, judged by outside subscribers; FG_SEED=n repeats one round
	@FIELDGATE=$(abspath $(B)/fieldgate) $(PYTHON) tests/faults/soak.py $(T)

SOAK_MINUTES ?= 10
.PHONY: soak-short
soak-short: $(B)/fieldgate $(FILL) $(PRELOADS) ## 50 times the usual load with faults: memory, descriptors, threads
	@FIELDGATE=$(abspath $(B)/fieldgate) $(PYTHON) tests/faults/soak_short.py $(SOAK_MINUTES)

.PHONY: test
test: deps ## all that a contributor runs: sets itself up, about 15 minutes on 2 cores
	@echo "== 1 of 5: build, unit tests, checks"
	@$(MAKE) --no-print-directory check
	@echo "== 2 of 5: static analysis"
	@$(MAKE) --no-print-directory lint
	@echo "== 3 of 5: sanitizers"
	@$(MAKE) --no-print-directory sanitize
	@echo "== 4 of 5: integration"
	@$(MAKE) --no-print-directory integration
	@$(MAKE) --no-print-directory FLAVOR=asan integration
	@echo "== 5 of 5: faults"
	@$(MAKE) --no-print-directory faults
	@echo "== make test: everything passed"

# Seconds for each fuzzer; what it finds stays in build/fuzz.
FUZZ_SECONDS ?= 60
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

$(B)/fuzz/%: tests/fuzz/%.c tests/fuzz/demand.h $(B)/libfieldgate.a
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $< $(B)/libfieldgate.a $(LIBS)

.PHONY: fuzz
fuzz: ## libFuzzer on frames, profiles, configurations, commands and payloads, FUZZ_SECONDS=60 each; FG_SEED=n
	@tests/tools/install_packages.sh build fuzz
	@$(MAKE) --no-print-directory -j$(JOBS) FLAVOR=fuzz CC=clang-14 fuzzers
	@nice tests/fuzz/run.sh build/fuzz $(FUZZ_SECONDS) $(FUZZERS)

.PHONY: fuzzers
fuzzers: $(FUZZERS:%=$(B)/fuzz/%)

# Without the packages' own scripts: they are not needed, and one of them would report the installation.
build/asyncapi/installed: tests/asyncapi/package.json tests/asyncapi/package-lock.json
	@command -v npm >/dev/null || tests/tools/install_packages.sh node
	@mkdir -p $(@D)
	@cp $^ $(@D)/
	@cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error --cache=cache
	@touch $@

.PHONY: asyncapi
asyncapi: build/asyncapi/installed ## config/asyncapi.yaml, read by the official parser
	@node tests/asyncapi/check.js build/asyncapi/node_modules config/asyncapi.yaml

# The Debian disk of these machines is made once and kept here.
SYSTEM_CACHE ?= $(CURDIR)/build/system
.PHONY: test-systemd
test-systemd: deb ## the Debian package on a real Debian with a real systemd: qemu, no root, minutes
	@tests/tools/install_packages.sh system
	@echo "== the package on a Debian box of its own"
	@SYSTEM_CACHE=$(SYSTEM_CACHE) $(PYTHON) -m pytest -p no:cacheprovider -v -rfE --durations=5 tests/system

# The worked example's own packages; the other tests with MQTT.js use them, too.
CONSUMERS := docs/examples/postgresql/package.json docs/examples/postgresql/package-lock.json
build/consumers/installed: $(CONSUMERS)
	@command -v npm >/dev/null || tests/tools/install_packages.sh node
	@mkdir -p $(@D)
	@cp $^ $(@D)/
	@cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error --cache=cache
	@touch $@

.PHONY: interop
interop: $(B)/fieldgate build/consumers/installed ## RabbitMQ, MQTT.js, mosquitto_sub and PostgreSQL against the ledger
	@tests/tools/install_packages.sh interop test
	@FIELDGATE=$(abspath $(B)/fieldgate) $(PYTHON) -m pytest -p no:cacheprovider -q -rfE --durations=5 -n 2 tests/interop

PEER_RUNS ?= 5
PEER_SECONDS ?= 60
# Node.js comes from the same registry, so that every machine runs the same one.
build/peers/installed: tests/bench/peers/package.json tests/bench/peers/package-lock.json
	@command -v npm >/dev/null || tests/tools/install_packages.sh node
	@mkdir -p $(@D)
	@cp $^ $(@D)/
	@cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error --cache=cache
	@touch $@

.PHONY: bench-peers
bench-peers: $(B)/fieldgate $(SIMS) build/peers/installed ## collectd and Node-RED at the same work: docs/PEERS.md; PEER_RUNS=5 PEER_SECONDS=60
	@tests/tools/install_packages.sh test peers
	@PEER_RUNS=$(PEER_RUNS) PEER_SECONDS=$(PEER_SECONDS) FIELDGATE=$(abspath $(B)/fieldgate) $(PYTHON) tests/bench/bench_peers.py

GATEWAYS ?= 300
.PHONY: storm
storm: $(B)/fieldgate $(SIMS) ## GATEWAYS=300 whose broker restarts: connection attempts by the second, and nothing lost
	@FG_GATEWAYS=$(GATEWAYS) FIELDGATE=$(abspath $(B)/fieldgate) $(PYTHON) -m pytest -p no:cacheprovider -q -s tests/storm

# Two lanes, for two cores. What measures time or memory is in the first and finds one core to itself: beside it run a
# fuzzer at a time, then tests that wait and retry. What is built is built before, at full width.
LANE_1 := month DAYS=5; soak-short; hostile HOSTILE_SECONDS=60; interop; try-screens; try-install; asyncapi
LANE_2 := fuzz; FLAVOR=tsan integration; FLAVOR=asan faults; FLAVOR=asan hostile HOSTILE_SECONDS=60; test-systemd
.PHONY: ci
ci: ## what takes longer, side by side: each target's output is in build/ci
	@tests/tools/install_packages.sh build demo test fuzz package system node interop
	@echo "== building all flavours"
	@$(MAKE) --no-print-directory -j$(JOBS) all sims $(B)/faults/crash
	@$(MAKE) --no-print-directory -j$(JOBS) FLAVOR=tsan all sims
	@$(MAKE) --no-print-directory -j$(JOBS) FLAVOR=asan all sims build/asan/faults/crash
	@$(MAKE) --no-print-directory -j$(JOBS) FLAVOR=fuzz CC=clang-14 fuzzers
	@$(MAKE) --no-print-directory build/asyncapi/installed build/consumers/installed
	@echo "== what takes longer"
	@$(PYTHON) tests/tools/lanes.py build/ci "$(LANE_1)" "$(LANE_2)"
	@echo "== 300 gateways whose broker restarts: they take both cores"
	@$(MAKE) --no-print-directory storm
	@echo "== the demo, as a newcomer would run it"
	@$(MAKE) --no-print-directory demo
	@echo "== make ci: everything passed"

.PHONY: try-screens
try-screens: all
	@echo "== the screens of the technician's guide can still be taken"
	@FIELDGATE=$(abspath $(B)/fieldgate) $(PYTHON) tests/tools/screens.py try

.PHONY: try-install
try-install:
	@echo "== install into an empty root, and away again"
	@tests/tools/try_install.sh

.PHONY: bench
bench: ## what wire and disk allow and what we make of it, against references in the same run
	@$(MAKE) --no-print-directory -j$(JOBS) all sims $(STORE_BENCH)
	@FIELDGATE=$(abspath $(B)/fieldgate) $(PYTHON) tests/bench/bench.py

.PHONY: bench-plots
bench-plots: ## what `make bench` measured, as pictures in docs/bench
	@tests/tools/install_packages.sh plots
	@$(PYTHON) tests/bench/plots.py

.PHONY: demo
demo: deps-build ## the main job, shown in about a minute with real components
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@FIELDGATE=$(abspath $(B)/fieldgate) $(PYTHON) tests/tools/demo.py

# ---- installing ----

INSTALL_SHARE := $(DESTDIR)$(PREFIX)/share/fieldgate
INSTALL_DOC   := $(DESTDIR)$(PREFIX)/share/doc/fieldgate
UNITDIR       ?= $(PREFIX)/lib/systemd/system
INSTALL_UNIT  := $(DESTDIR)$(UNITDIR)/fieldgate.service
INSTALL_COMPLETION := $(DESTDIR)$(PREFIX)/share/bash-completion/completions/fieldgate

.PHONY: install
install: all ## install below DESTDIR and PREFIX; keeps an existing configuration
	install -D -m 755 $(B)/fieldgate $(DESTDIR)$(PREFIX)/bin/fieldgate
	install -d $(INSTALL_SHARE)/profiles $(INSTALL_SHARE)/schema
	install -m 644 config/profiles/*.yaml $(INSTALL_SHARE)/profiles/
	install -m 644 config/schema/*.json $(INSTALL_SHARE)/schema/
	install -m 644 config/points.yaml config/asyncapi.yaml $(INSTALL_SHARE)/
	for language in $(LANGUAGES); do install -D -m 644 $(B)/locale/$$language/LC_MESSAGES/fieldgate.mo \
	  $(DESTDIR)$(PREFIX)/share/locale/$$language/LC_MESSAGES/fieldgate.mo || exit; done
	install -d $(INSTALL_DOC)/examples
	install -m 644 README.md README.vi.md CHANGELOG.md docs/*.md $(INSTALL_DOC)/
	install -D -m 644 -t $(INSTALL_DOC)/vi docs/vi/*.md
	install -D -m 644 -t $(INSTALL_DOC)/bench docs/bench/*.svg
	install -m 644 config/fieldgate.yaml $(INSTALL_DOC)/examples/
	install -d $(INSTALL_DOC)/examples/postgresql
	install -m 644 docs/examples/postgresql/* $(INSTALL_DOC)/examples/postgresql/
	install -d $(dir $(INSTALL_UNIT))
	sed 's|/usr/bin/fieldgate|$(PREFIX)/bin/fieldgate|' systemd/fieldgate.service > $(INSTALL_UNIT)
	chmod 644 $(INSTALL_UNIT)
	install -D -m 644 systemd/fieldgate.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/fieldgate.conf
	install -D -m 644 systemd/fieldgate.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/fieldgate.conf
	install -D -m 644 completion/fieldgate $(INSTALL_COMPLETION)
	install -D -m 644 docs/fieldgate.1 $(DESTDIR)$(PREFIX)/share/man/man1/fieldgate.1
	install -D -m 644 docs/fieldgate.yaml.5 $(DESTDIR)$(PREFIX)/share/man/man5/fieldgate.yaml.5
	test -e $(DESTDIR)$(SYSCONFDIR)/fieldgate/fieldgate.yaml || \
	  install -D -m 644 config/fieldgate.yaml $(DESTDIR)$(SYSCONFDIR)/fieldgate/fieldgate.yaml

.PHONY: uninstall
uninstall: ## remove what install put there; configuration and readings stay
	rm -f $(DESTDIR)$(PREFIX)/bin/fieldgate $(INSTALL_UNIT) $(INSTALL_COMPLETION)
	rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/fieldgate.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/fieldgate.conf
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/fieldgate.1 $(DESTDIR)$(PREFIX)/share/man/man5/fieldgate.yaml.5
	rm -f $(DESTDIR)$(PREFIX)/share/locale/*/LC_MESSAGES/fieldgate.mo
	rm -rf $(INSTALL_SHARE) $(INSTALL_DOC)
