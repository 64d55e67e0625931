# fieldgate - sensor gateway daemon for farms. `make help` lists what can be made.
VERSION := 0.1.0
PREFIX  ?= /usr
DESTDIR ?=
CC      ?= gcc
PYTHON  ?= /usr/bin/python3
CLANG_FORMAT ?= clang-format
# release | asan | tsan | weak (see tests/); each has its own folder under build/
FLAVOR  ?= release

B := build/$(FLAVOR)

LIBS    := libmodbus libpaho-mqtt sqlite3 yaml-0.1 libcjson zlib openssl libsystemd
PKGLIBS := -lmodbus -lpaho-mqtt3as -lsqlite3 -lyaml -lcjson -lz -lssl -lcrypto -lsystemd -lm -lpthread

CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
LDFLAGS_asan    := -fsanitize=address,undefined
LDFLAGS_tsan    := -fsanitize=thread

WARN   := -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-format-truncation -Werror
CPPFLAGS += -D_GNU_SOURCE -DFG_VERSION='"$(VERSION)"' -DFG_SHARE='"$(PREFIX)/share/fieldgate"'
ALL_CFLAGS := -std=gnu11 $(WARN) $(CFLAGS_$(FLAVOR)) $(CFLAGS)
ALL_LDFLAGS := $(LDFLAGS_$(FLAVOR)) $(LDFLAGS)

SRC  := $(wildcard gateway/*.c drivers/*.c)
OBJ  := $(SRC:%.c=$(B)/%.o)
LIBOBJ := $(filter-out $(B)/gateway/main.o,$(OBJ))
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)

.PHONY: all
all: $(B)/fieldgate

$(B)/fieldgate: $(B)/gateway/main.o $(B)/libfieldgate.a
	@echo "  LINK  $@"
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PKGLIBS)

$(B)/libfieldgate.a: $(LIBOBJ)
	@rm -f $@
	@$(AR) rcs $@ $^

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $@"
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/unit/%: tests/unit/%.c $(B)/libfieldgate.a
	@mkdir -p $(@D)
	@echo "  TEST  $@"
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -Itests/unit -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(B)/libfieldgate.a $(PKGLIBS) -lcmocka

-include $(OBJ:.o=.d) $(UNIT:=.d)

.PHONY: clean
clean:
	rm -rf build
