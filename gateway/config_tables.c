/* SPDX-License-Identifier: Apache-2.0 */
#include "config_tables.h"

#include <string.h>

#include "config.h"
#include "text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define KEYS(array) .keys = (array), .key_count = COUNT(array)

#define SECONDS(n) ((int64_t)(n)*1000)
#define MINUTES(n) SECONDS((n)*60)
#define HOURS(n) MINUTES((n)*60)
#define DAYS(n) HOURS((n)*24)
#define KIB(n) ((int64_t)(n)*1024)
#define MIB(n) KIB((n)*1024)
#define GIB(n) MIB((n)*1024)

static const struct config_key gateway_keys[] = {
    {"id", CONFIG_NAME, AT(struct config_gateway, id),
     .otherwise_says = "made at first start and kept, so that cloned images differ",
     .text = "The gateway's id in topics and records."},
    {"name", CONFIG_TEXT, AT(struct config_gateway, name), .max = 200, .text = "What people call it."},
    {"latitude", CONFIG_DECIMAL, AT(struct config_gateway, latitude),
     .has = offsetof(struct config_gateway, has_position), .min = -90, .max = 90,
     .text = "Degrees, WGS 84; only together with longitude."},
    {"longitude", CONFIG_DECIMAL, AT(struct config_gateway, longitude),
     .has = offsetof(struct config_gateway, has_position), .min = -180, .max = 180,
     .text = "Degrees, WGS 84; only together with latitude."},
    {"labels", CONFIG_LABELS, AT(struct config_gateway, labels),
     .text = "Any names and texts; sent in the birth message, and for {label.NAME} in topics."},
};
static const struct config_section gateway_section = {.name = "gateway",
                                                      .text = "Who this gateway is.",
                                                      .size = sizeof(struct config_gateway),
                                                      KEYS(gateway_keys)};

static const struct config_key store_keys[] = {
    {"path", CONFIG_PATH, AT(struct config_store, path), .otherwise = "/var/lib/fieldgate/buffer.db",
     .text = "The database file; its folder is the state folder."},
    {"max_size", CONFIG_SIZE, AT(struct config_store, max_size), .otherwise = "1GiB", .min = MIB(1),
     .max = GIB(1024),
     .text =
         "Database and write-ahead log together; the oldest records go first, delivered before undelivered."},
    {"commit_every", CONFIG_DURATION, AT(struct config_store, commit_every_ms), .otherwise = "1s", .min = 50,
     .max = MINUTES(1), .text = "How much may be lost at a power failure at most."},
    {"keep_delivered", CONFIG_DURATION, AT(struct config_store, keep_delivered_ms), .otherwise = "30d",
     .max = DAYS(3650),
     .text = "How long delivered records stay for local curves, export and re-sending; inside max_size."},
};
static const struct config_section store_section = {
    .name = "store", .text = "The buffer on disk.", .size = sizeof(struct config_store), KEYS(store_keys)};

static const struct config_word trust_words[] = {{"auto", CLOCK_TRUST_AUTO},
                                                 {"ntp", CLOCK_TRUST_NTP},
                                                 {"rtc", CLOCK_TRUST_RTC},
                                                 {"always", CLOCK_TRUST_ALWAYS},
                                                 {NULL, 0}};
static const struct config_key clock_keys[] = {
    {"trust", CONFIG_WORD, AT(struct config_clock, trust), .otherwise = "auto", .words = trust_words,
     .text = "When wall time is believed: set by NTP or a hardware clock (auto), one of them, or always."},
    {"hold", CONFIG_DURATION, AT(struct config_clock, hold_ms), .otherwise = "30s", .max = HOURS(1),
     .text = "How long, once a link is up, samples with an untrusted time wait for the clock."},
};
static const struct config_section clock_section = {.name = "clock",
                                                    .text = "Whether the clock is believed.",
                                                    .size = sizeof(struct config_clock),
                                                    KEYS(clock_keys)};

const struct config_word config_bauds[] = {{"300", 300},
                                           {"600", 600},
                                           {"1200", 1200},
                                           {"2400", 2400},
                                           {"4800", 4800},
                                           {"9600", 9600},
                                           {"19200", 19200},
                                           {"38400", 38400},
                                           {"57600", 57600},
                                           {"115200", 115200},
                                           {"230400", 230400},
                                           {"460800", 460800},
                                           {"500000", 500000},
                                           {"576000", 576000},
                                           {"921600", 921600},
                                           {"1000000", 1000000},
                                           {"1152000", 1152000},
                                           {"1500000", 1500000},
                                           {"2500000", 2500000},
                                           {"3000000", 3000000},
                                           {"3500000", 3500000},
                                           {"4000000", 4000000},
                                           {NULL, 0}};
const struct config_word config_frames[] = {{"8N1", 0}, {"8E1", 1}, {"8O1", 2}, {"8N2", 3}, {NULL, 0}};

static const struct config_word protocols[] = {
    {"rtu", MODBUS_RTU}, {"tcp", MODBUS_TCP}, {"rtu_over_tcp", MODBUS_RTU_OVER_TCP}, {NULL, 0}};
static const struct config_word rs485_modes[] = {
    {"auto", MODBUS_RS485_AUTO}, {"on", MODBUS_RS485_ON}, {"off", MODBUS_RS485_OFF}, {NULL, 0}};
static const struct config_key bus_keys[] = {
    {"name", CONFIG_NAME, true, AT(struct config_bus, name),
     .text = N_("The bus' name; devices refer to it.")},
    {"protocol", CONFIG_WORD, true, AT(struct config_bus, protocol), .words = protocols,
     .text =
         N_("Modbus RTU on a serial port, Modbus TCP, or RTU frames through a serial server's TCP port.")},
    {"port", CONFIG_PATH, true, .protocols = CONFIG_ON_RTU, AT(struct config_bus, port),
     .text = N_(
         "The serial port; a path under /dev/serial/by-id/ stays the same when adapters are plugged anew.")},
    {"baud", CONFIG_BAUD, .protocols = CONFIG_ON_RTU, AT(struct config_bus, line.baud), .otherwise = "9600",
     .words = config_bauds, .text = "Bits per second."},
    {"format", CONFIG_FRAME, .protocols = CONFIG_ON_RTU, AT(struct config_bus, line.format),
     .otherwise = "8N1", .words = config_frames, .text = "Data bits, parity (None, Even, Odd), stop bits."},
    {"rs485", CONFIG_WORD, .protocols = CONFIG_ON_RTU, AT(struct config_bus, rs485), .otherwise = "auto",
     .words = rs485_modes,
     .text = "Whether the kernel switches a UART's transceiver by RTS: auto leaves the port as it is set; "
             "USB adapters switch by themselves."},
    {"host", CONFIG_TEXT, true, .protocols = CONFIG_ON_TCP | CONFIG_ON_RTU_OVER_TCP,
     AT(struct config_bus, host), .max = 253, .text = N_("Name or address of the device or serial server.")},
    {"tcp_port", CONFIG_INT, .protocols = CONFIG_ON_TCP | CONFIG_ON_RTU_OVER_TCP,
     AT(struct config_bus, tcp_port), .otherwise = "502", .min = 1, .max = 65535, .text = "TCP port."},
    {"timeout", CONFIG_DURATION, AT(struct config_bus, timeout_ms), .otherwise = "500ms", .min = 10,
     .max = SECONDS(60), .text = "From the end of our transmission to the first byte of the answer."},
    {"gap", CONFIG_DURATION, AT(struct config_bus, gap_ms), .otherwise = "0ms", .max = SECONDS(10),
     .shown = true, .text = "Extra silence between requests, above the standard's 3.5 characters."},
};
static const struct config_foreign bus_foreign[] = {
    {"baudrate", N_("write baud: 9600")},
    {"baud_rate", N_("write baud: 9600")},
    {"speed", N_("write baud: 9600")},
    {"parity", N_("parity is part of format: 8N1 (none), 8E1 (even), 8O1 (odd)")},
    {"stopbits", N_("stop bits are part of format: 8N1 or 8N2")},
    {"stop_bits", N_("stop bits are part of format: 8N1 or 8N2")},
    {"databits", N_("data bits are part of format: 8N1")},
    {"data_bits", N_("data bits are part of format: 8N1")},
    {"device", N_("write port: /dev/serial/by-id/..; sensors stand under devices:")},
    {"ip", N_("write host: 192.168.1.20")},
    {"address", N_("write host: 192.168.1.20")},
    {NULL, NULL}};
const struct config_section config_bus_keys = {.name = "bus",
                                               .text = "One Modbus line or connection.",
                                               .size = sizeof(struct config_bus),
                                               KEYS(bus_keys),
                                               .foreign = bus_foreign};

static const struct config_key line_keys[] = {
    {"baud", CONFIG_BAUD, AT(struct modbus_line, baud), .otherwise_says = "the bus'", .words = config_bauds,
     .text = "Bits per second."},
    {"format", CONFIG_FRAME, AT(struct modbus_line, format), .otherwise_says = "the bus'",
     .words = config_frames, .text = "Data bits, parity, stop bits."},
};
static const struct config_section line_section = {.name = "line",
                                                   .text =
                                                       "Where a device's line setting differs from its bus.",
                                                   .size = sizeof(struct modbus_line),
                                                   KEYS(line_keys)};

static const struct config_key device_keys[] = {
    {"name", CONFIG_NAME, true, AT(struct config_device, name), .text = N_("The device's name in records.")},
    {"bus", CONFIG_BUS, true, AT(struct config_device, bus), .text = N_("The name of its bus.")},
    {"unit", CONFIG_INT, true, .shown = true, AT(struct config_device, unit), .min = 0, .max = 255,
     .text = N_("Modbus address: 1 to 247 on a serial line, 0 to 255 on TCP.")},
    {"profile", CONFIG_NAME, AT(struct config_device, profile),
     .text = "The device's model: a file of the profile folders, without .yaml."},
    {"every", CONFIG_DURATION, AT(struct config_device, every_ms), .otherwise = "60s", .min = 50,
     .max = DAYS(7), .text = "How often it is read."},
    {"enabled", CONFIG_BOOL, .shown = true, AT(struct config_device, enabled), .otherwise = "true",
     .text = "false: known, but not read."},
    {"labels", CONFIG_LABELS, AT(struct config_device, labels),
     .text = "Any names and texts; sent in the birth message."},
    {"line", CONFIG_MAP, .protocols = CONFIG_ON_RTU, AT(struct config_device, line), .section = &line_section,
     .otherwise_says = "the bus' setting", .text = "Where the device's line setting differs from its bus."},
    {"timeout", CONFIG_DURATION, AT(struct config_device, timeout_ms), .min = 10, .max = SECONDS(60),
     .otherwise_says = "the bus'",
     .text = "From the end of our transmission to the first byte of the answer."},
    {"gap", CONFIG_DURATION, .shown = true, AT(struct config_device, gap_ms), .max = SECONDS(10),
     .otherwise_says = "the bus' gap or the profile's pause, whichever is longer",
     .text = "Extra silence before each request to this device."},
    {"report", CONFIG_MAP, AT(struct config_device, report), .section = &config_report_keys,
     .otherwise_says = "the profile's; else every reading is kept",
     .text = "Of its points without a rule of their own: which readings are not worth storing and sending."},
    {"aggregate", CONFIG_DURATION, AT(struct config_device, aggregate_ms), .min = SECONDS(1), .max = DAYS(1),
     .otherwise_says = "the profile's; else every reading is kept",
     .text =
         "Of its points without a rule of their own: minimum, mean, maximum and count over so long, instead "
         "of every reading."},
    {"points", CONFIG_LIST, AT(struct config_device, points),
     .count = offsetof(struct config_device, point_count), .section = &config_point_keys,
     .text = "What to read, instead of a profile or added to it."},
};
static const struct config_foreign device_foreign[] = {
    {"id", N_("write unit: 1 for the Modbus address, name: .. for the name")},
    {"slave", N_("write unit: 1")},
    {"slave_id", N_("write unit: 1")},
    {"address", N_("write unit: 1 for the Modbus address; a register's address belongs to a point")},
    {"interval", N_("write every: 60s")},
    {"period", N_("write every: 60s")},
    {"model", N_("write profile: ..")},
    {"type", N_("write profile: .. for the model")},
    {"registers", N_("write points:")},
    {"baud", N_("write line: {baud: 4800}")},
    {"format", N_("write line: {format: 8N1}")},
    {NULL, NULL}};
const struct config_section config_device_keys = {.name = "device",
                                                  .text = "One Modbus unit on a bus.",
                                                  .size = sizeof(struct config_device),
                                                  KEYS(device_keys),
                                                  .foreign = device_foreign};

static const struct config_word orders[] = {
    {"live_first", CONFIG_LIVE_FIRST}, {"oldest_first", CONFIG_OLDEST_FIRST}, {NULL, 0}};
static const struct config_key backlog_keys[] = {
    {"order", CONFIG_WORD, AT(struct config_uplink, order), .otherwise = "live_first", .words = orders,
     .text = "After an outage: the newest at once and the old beside them, or strictly from the oldest on."},
    {"max_rate", CONFIG_RATE, AT(struct config_uplink, max_rate),
     .otherwise_says = "none: the link's own pace", .min = 64, .max = GIB(1),
     .text = "A ceiling for the backlog; `check` says when it is not above what the devices make."},
    {"max_age", CONFIG_DURATION, AT(struct config_uplink, max_age_ms), .otherwise_says = "none: all is sent",
     .min = SECONDS(1), .max = DAYS(3650),
     .text =
         "What has waited longer for this uplink is given up, and an event tells which records: for a "
         "receiver that has no use for old ones. Counted while the gateway runs; no clock that jumps makes "
         "a record old. Exact to a sixteenth, or an hour; never too early."},
};
static const struct config_section backlog_section = {.name = "backlog",
                                                      .text = "How what was kept is sent.",
                                                      .size = sizeof(struct config_uplink),
                                                      KEYS(backlog_keys)};

static const struct config_key batch_keys[] = {
    {"max_samples", CONFIG_INT, AT(struct config_uplink, batch_samples), .otherwise = "100", .min = 1,
     .max = 10000, .text = "Samples and events in one message at most."},
    {"max_bytes", CONFIG_SIZE, AT(struct config_uplink, batch_bytes), .otherwise = "32KiB", .min = KIB(1),
     .max = MIB(16), .text = "Size of one message at most, as it is sent."},
    {"max_delay", CONFIG_DURATION, .shown = true, AT(struct config_uplink, batch_delay_ms), .otherwise = "1s",
     .max = MINUTES(10), .text = "How long a live sample may wait for others."},
};
static const struct config_section batch_section = {.name = "batch",
                                                    .text = "How much goes into one message.",
                                                    .size = sizeof(struct config_uplink),
                                                    KEYS(batch_keys)};

static const struct config_key tls_keys[] = {
    {"insecure_accept_any_host_name", CONFIG_BOOL, AT(struct config_uplink, any_host_name),
     .otherwise = "false",
     .text =
         "true: the broker's certificate may be for any host, so whoever has one of the same authority can "
         "pose as the broker. Warned about at each start and in the state message."},
};
static const struct config_section tls_section = {.name = "tls",
                                                  .text = "What is less than safe about TLS.",
                                                  .size = sizeof(struct config_uplink),
                                                  KEYS(tls_keys)};

static const struct config_word formats[] = {{"json", 0}, {"sparkplug", 1}, {NULL, 0}};
static const struct config_word compressions[] = {{"none", 0}, {"gzip", 1}, {NULL, 0}};
static const struct config_word versions[] = {{"5", 5}, {"3.1.1", 311}, {NULL, 0}};
static const struct config_word starts[] = {{"oldest", 0}, {"now", 1}, {NULL, 0}};
static const struct config_word commands[] = {
    {"status", 0}, {"rebirth", 1}, {"resend", 2}, {"poll", 3}, {NULL, 0}};
static const struct config_key uplink_keys[] = {
    {"name", CONFIG_NAME, true, AT(struct config_uplink, name),
     .text = N_("The uplink's name; its progress is kept under it.")},
    {"url", CONFIG_TEXTS, true, AT(struct config_uplink, urls),
     .count = offsetof(struct config_uplink, url_count), .max = 512,
     .text =
         N_("mqtt://, mqtts://, ws:// or wss:// with host and optional port; one or a list, tried in order; "
            "the first is returned to when it is well again.")},
    {"topic", CONFIG_TEXT, AT(struct config_uplink, topic), .otherwise = "fieldgate/v1/{gateway}", .max = 512,
     .text = "Prefix of all topics; {gateway}, {uplink} and {label.NAME} are replaced."},
    {"format", CONFIG_TEXT, AT(struct config_uplink, format), .otherwise = "json", .words = formats,
     .text = "How records are written (docs/MQTT.md); this version has json only."},
    {"compress", CONFIG_WORD, .shown = true, AT(struct config_uplink, gzip), .otherwise = "none",
     .words = compressions, .text = "Of data messages."},
    {"version", CONFIG_WORD, AT(struct config_uplink, version), .otherwise = "5", .words = versions,
     .text = "MQTT version; 3.1.1 cannot show a refused publish."},
    {"client_id", CONFIG_TEXT, AT(struct config_uplink, client_id), .otherwise = "{gateway}-{uplink}",
     .max = 200,
     .text = "MQTT client id; one broker never sees it twice. {gateway}, {uplink} and {label.NAME} are "
             "replaced."},
    {"username", CONFIG_TEXT, AT(struct config_uplink, username), .max = 1024, .text = "MQTT user name."},
    {"credential", CONFIG_TEXT, AT(struct config_uplink, credential), .max = 200,
     .text = "The systemd credential that holds the password: a file name in /etc/fieldgate/credentials."},
    {"password_file", CONFIG_PATH, AT(struct config_uplink, password_file),
     .text = "Instead of credential: a file that holds the password, readable by the service only."},
    {"ca_file", CONFIG_PATH, AT(struct config_uplink, ca_file), .otherwise_says = "the system's authorities",
     .text = "Who may have signed the broker's certificate; read again at each connect."},
    {"cert_file", CONFIG_PATH, AT(struct config_uplink, cert_file),
     .text = "Our own certificate; read again at each connect."},
    {"key_file", CONFIG_PATH, AT(struct config_uplink, key_file), .text = "Its key."},
    {"tls", CONFIG_MAP, .section = &tls_section, .text = "What is less than safe about TLS."},
    {"keepalive", CONFIG_DURATION, AT(struct config_uplink, keepalive_ms), .otherwise = "120s",
     .min = SECONDS(5), .max = SECONDS(65535),
     .text = "How long the connection may be quiet before it is tested."},
    {"start", CONFIG_WORD, .shown = true, AT(struct config_uplink, start_now), .otherwise = "oldest",
     .words = starts,
     .text = "Where a new uplink begins: with the oldest record kept, or with what comes from now on."},
    {"backlog", CONFIG_MAP, .section = &backlog_section, .text = "How what was kept is sent."},
    {"batch", CONFIG_MAP, .section = &batch_section, .text = "How much goes into one message."},
    {"commands", CONFIG_TEXTS, AT(struct config_uplink, commands),
     .count = offsetof(struct config_uplink, command_count), .words = commands, .otherwise_says = "none",
     .text = "Which commands this broker may give, on <topic>/command (docs/MQTT.md); none: nothing is "
             "subscribed."},
};
static const struct config_foreign uplink_foreign[] = {
    {"password", N_("a password never stands in this file; write credential: NAME and put it into "
                    "/etc/fieldgate/credentials/NAME")},
    {"user", N_("write username:")},
    {"broker", N_("write url: mqtts://host:8883")},
    {"host", N_("write url: mqtts://host:8883")},
    {"port", N_("the port is part of url: mqtts://host:8883")},
    {"ssl", N_("TLS is part of url: mqtts://host:8883")},
    {"insecure", N_("nothing turns TLS' checks off as a whole; give the broker's authority as ca_file")},
    {"tls_insecure", N_("nothing turns TLS' checks off as a whole; give the broker's authority as ca_file")},
    {"qos", N_("delete it: data is always sent with QoS 1")},
    {"retain", N_("delete it: state and birth are retained, data is not")},
    {NULL, NULL}};
const struct config_section config_uplink_keys = {.name = "uplink",
                                                  .text =
                                                      "One destination. Every uplink carries all devices.",
                                                  .size = sizeof(struct config_uplink),
                                                  KEYS(uplink_keys),
                                                  .foreign = uplink_foreign};

static const struct config_word language_words[] = {
    {"auto", CONFIG_LANGUAGE_AUTO}, {"en", CONFIG_LANGUAGE_EN}, {"vi", CONFIG_LANGUAGE_VI}, {NULL, 0}};
static const struct config_key root_keys[] = {
    {"language", CONFIG_WORD, AT(struct config, language), .otherwise = "auto", .words = language_words,
     .text =
         "The language of messages, log and `fieldgate status`: English, Vietnamese, or as the environment "
         "(LANG) says. Codes (FG-...) are the same in both; LANGUAGE=en before a command overrides it."},
    {"gateway", CONFIG_MAP, AT(struct config, gateway), .section = &gateway_section,
     .text = "Who this gateway is."},
    {"store", CONFIG_MAP, AT(struct config, store), .section = &store_section, .text = "The buffer on disk."},
    {"clock", CONFIG_MAP, AT(struct config, clock), .section = &clock_section,
     .text = "Whether the clock is believed."},
    {"buses", CONFIG_LIST, AT(struct config, buses), .count = offsetof(struct config, bus_count),
     .section = &config_bus_keys, .text = "The Modbus lines and connections."},
    {"devices", CONFIG_LIST, AT(struct config, devices), .count = offsetof(struct config, device_count),
     .section = &config_device_keys, .text = "The devices on them."},
    {"uplinks", CONFIG_LIST, AT(struct config, uplinks), .count = offsetof(struct config, uplink_count),
     .section = &config_uplink_keys, .text = "The brokers that get the readings."},
};
const struct config_section config_root = {.name = "configuration",
                                           .text = "The whole of fieldgate.yaml.",
                                           .size = sizeof(struct config),
                                           KEYS(root_keys)};

const struct config_key *config_key_find(const struct config_section *section, const char *name)
{
    for (size_t i = 0; i < section->key_count; i++)
        if (strcmp(section->keys[i].name, name) == 0)
            return &section->keys[i];
    return NULL;
}

unsigned config_protocol_bit(int protocol)
{
    return 1u << protocol;
}

const char *config_word_of(const struct config_word *words, int64_t value)
{
    for (; words->word; words++)
        if (words->value == value)
            return words->word;
    return "?";
}
