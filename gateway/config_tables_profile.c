/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of what stands in profiles: the points, which devices may carry too, and the profile around
 * them. */
#include "config_profile.h"
#include "config_tables.h"
#include "text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define KEYS(array) .keys = (array), .key_count = COUNT(array)

#define SECONDS(n) ((int64_t)(n)*1000)
#define DAYS(n) SECONDS((n)*86400)

static const struct config_word registers[] = {{"coil", POINT_COIL},
                                               {"discrete_input", POINT_DISCRETE_INPUT},
                                               {"input", POINT_INPUT},
                                               {"holding", POINT_HOLDING},
                                               {NULL, 0}};
static const struct config_word types[] = {{"bool", POINT_BOOL},       {"int16", POINT_INT16},
                                           {"uint16", POINT_UINT16},   {"int32", POINT_INT32},
                                           {"uint32", POINT_UINT32},   {"int64", POINT_INT64},
                                           {"uint64", POINT_UINT64},   {"float32", POINT_FLOAT32},
                                           {"float64", POINT_FLOAT64}, {NULL, 0}};
static const struct config_word point_orders[] = {{"ABCD", POINT_ABCD},
                                                  {"CDAB", POINT_CDAB},
                                                  {"BADC", POINT_BADC},
                                                  {"DCBA", POINT_DCBA},
                                                  {"AB", POINT_ABCD},
                                                  {"BA", POINT_DCBA},
                                                  {"ABCDEFGH", POINT_ABCD},
                                                  {"GHEFCDAB", POINT_CDAB},
                                                  {"BADCFEHG", POINT_BADC},
                                                  {"HGFEDCBA", POINT_DCBA},
                                                  {NULL, 0}};

static const struct config_key report_keys[] = {
    {"change", CONFIG_DECIMAL, AT(struct point_report, change),
     .has = offsetof(struct point_report, has_change), .otherwise_says = "every other value counts",
     .text =
         "By how much a value must have moved since the last one that was reported; not for yes/no points."},
    {"at_least", CONFIG_DURATION, AT(struct point_report, at_least_ms), .min = SECONDS(1), .max = DAYS(7),
     .otherwise_says = "15min", .text = "Reported anyway after so long."},
};
const struct config_section config_report_keys = {.name = "report",
                                                  .text =
                                                      "Which readings are held back (counted as suppressed) "
                                                      "because they say nothing new. A change of quality "
                                                      "is always reported at once.",
                                                  .size = sizeof(struct point_report),
                                                  KEYS(report_keys)};

static const struct config_key point_keys[] = {
    {"name", CONFIG_NAME, true, AT(struct point, name),
     .text = N_("What is measured (config/points.yaml lists good names).")},
    {"register", CONFIG_WORD, .shown = true, AT(struct point, table), .words = registers,
     .otherwise_says = "what reference says", .text = "The register table."},
    {"address", CONFIG_INT, .shown = true, AT(struct point, address), .max = 65535,
     .text = "0-based, as on the wire; decimal or 0x.. Either this or reference."},
    {"reference", CONFIG_REFERENCE,
     .text = "The manual's 1-based number: 00001 coil, 10001 discrete input, 30001 input, 40001 holding "
             "register; or with six digits."},
    {"type", CONFIG_WORD, .shown = true, AT(struct point, type), .words = types,
     .otherwise_says = "uint16; bool for coils and discrete inputs",
     .text = "How the registers are to be read."},
    {"order", CONFIG_WORD, .shown = true, AT(struct point, order), .otherwise = "ABCD", .words = point_orders,
     .text = "Bytes as they come over the wire; A is the most significant."},
    {"bits", CONFIG_BITS, .offset = 0, .otherwise_says = "all",
     .text = "Only these bits of a 16-bit register, 0 the least: 0-7 or 3."},
    {"scale", CONFIG_DECIMAL, AT(struct point, scale), .otherwise = "1",
     .text = "value = raw x scale + offset."},
    {"offset", CONFIG_DECIMAL, AT(struct point, offset), .otherwise = "0", .text = "Added after scaling."},
    {"unit", CONFIG_TEXT, AT(struct point, unit), .max = 32, .text = "In UCUM: Cel, %, hPa, m/s."},
    {"min", CONFIG_DECIMAL, AT(struct point, min), .has = offsetof(struct point, has_min),
     .text = "Least plausible value; what lies below is marked, not clamped."},
    {"max", CONFIG_DECIMAL, AT(struct point, max), .has = offsetof(struct point, has_max),
     .text = "Greatest plausible value."},
    {"invalid", CONFIG_RAWS, .offset = 0, .otherwise_says = "none",
     .text = "Raw values that mean \"no measurement\"; 0x.. gives the bits as they stand in the registers."},
    {"every", CONFIG_DURATION, AT(struct point, every_ms), .otherwise_says = "the device's", .min = 50,
     .max = DAYS(7), .text = "Its own interval."},
    {"counter", CONFIG_BOOL, AT(struct point, counter), .otherwise = "false",
     .text = "It only counts up (rain, energy): NAME_increment, what came since the reading before, is "
             "published beside it."},
    {"wrap", CONFIG_DECIMAL, AT(struct point, wrap), .has = offsetof(struct point, has_wrap),
     .otherwise_says = "the range of an unsigned type x scale; else none",
     .text = "The value that a counter jumps back to 0 instead of showing: 6553.6."},
    {"report", CONFIG_MAP, AT(struct point, report), .section = &config_report_keys,
     .otherwise_says = "the device's", .text = "Which of its readings are not worth storing and sending."},
    {"aggregate", CONFIG_DURATION, AT(struct point, aggregate_ms), .min = SECONDS(1), .max = DAYS(1),
     .otherwise_says = "the device's",
     .text =
         "Minimum, mean, maximum and count over so long, instead of every reading. Of a counter: the last "
         "reading and the whole increment."},
};
static const struct config_foreign point_foreign[] = {
    {"function", N_("write register: coil, discrete_input, input (function 4) or holding (function 3)")},
    {"function_code", N_("write register: coil, discrete_input, input (function 4) or holding (function 3)")},
    {"fc", N_("write register: coil, discrete_input, input (function 4) or holding (function 3)")},
    {"data_type", N_("write type:")},
    {"word_order", N_("write order: ABCD, CDAB, BADC or DCBA")},
    {"byte_order", N_("write order: ABCD, CDAB, BADC or DCBA")},
    {"multiplier", N_("write scale:")},
    {"factor", N_("write scale:")},
    {"count", N_("the type says how many registers: float32 takes two")},
    {"length", N_("the type says how many registers: float32 takes two")},
    {NULL, NULL}};
const struct config_section config_point_keys = {
    .name = "point",
    .text = "One measured quantity of a device.",
    .size = sizeof(struct point),
    KEYS(point_keys),
    .foreign = point_foreign,
    .schema = "\"oneOf\":[{\"required\":[\"register\",\"address\"]},{\"required\":[\"reference\"]}]"};

static const struct config_key line_keys[] = {
    {"baud", CONFIG_BAUD, AT(struct config_profile, line.baud), .words = config_bauds,
     .text = "Bits per second."},
    {"format", CONFIG_FRAME, AT(struct config_profile, line.format), .words = config_frames,
     .text = "Data bits, parity, stop bits."},
    {"unit", CONFIG_INT, AT(struct config_profile, unit), .otherwise_says = "not said", .min = 1, .max = 255,
     .text = "Modbus address."},
};
static const struct config_section line_section = {
    .name = "profile_line",
    .text = "The maker's setting. It is not applied: a difference to the bus is a warning.",
    .size = sizeof(struct config_profile),
    KEYS(line_keys)};

static const struct config_key limits_keys[] = {
    {"max_registers", CONFIG_INT, AT(struct config_profile, max_registers),
     .otherwise_says = "the protocol's 125", .min = 1, .max = 125,
     .text = "Registers that one request may ask for."},
    {"max_hole", CONFIG_INT, AT(struct config_profile, max_hole), .otherwise = "0", .max = 124,
     .text = "Undescribed registers that one request may read across."},
    {"min_every", CONFIG_DURATION, AT(struct config_profile, min_every_ms), .otherwise_says = "none",
     .max = DAYS(1), .text = "The sensor has nothing new sooner; a shorter interval is a warning."},
    {"pause", CONFIG_DURATION, AT(struct config_profile, pause_ms), .otherwise = "0ms", .max = SECONDS(10),
     .text = "Silence the device needs before each request; the default of a device's gap."},
};
static const struct config_section limits_section = {.name = "profile_limits",
                                                     .text = "What the device can bear.",
                                                     .size = sizeof(struct config_profile),
                                                     KEYS(limits_keys)};

static const struct config_key probe_keys[] = {
    {"register", CONFIG_WORD, true, AT(struct config_probe, table), .words = registers,
     .text = N_("The register table.")},
    {"address", CONFIG_INT, true, AT(struct config_probe, address), .max = 65535,
     .text = N_("0-based, as on the wire.")},
    {"count", CONFIG_INT, AT(struct config_probe, count), .otherwise = "1", .min = 1, .max = 125,
     .text = "How many registers to read."},
    {"expect", CONFIG_TEXT, AT(struct config_probe, expect), .max = 100,
     .text = "What this model answers there, one word a register: unit (its own number), 0x3343, 0..7, "
             "2400|4800|9600, - (anything); or float32 40..300."},
    {"note", CONFIG_TEXT, AT(struct config_probe, note), .max = 300,
     .text = "What a person can see in them."},
};
static const struct config_section probe_section = {.name = "profile_probe",
                                                    .text = "What a scan may look at, reading only.",
                                                    .size = sizeof(struct config_probe),
                                                    KEYS(probe_keys)};

static const struct config_word maturities[] = {{"manual", 0}, {"tested", 1}, {NULL, 0}};
static const struct config_key profile_keys[] = {
    {"profile", CONFIG_NAME, true, AT(struct config_profile, name),
     .text = N_("The profile's name, as in the file name.")},
    {"title", CONFIG_TEXT, true, AT(struct config_profile, title), .max = 200,
     .text = N_("What the device is.")},
    {"manufacturer", CONFIG_TEXT, AT(struct config_profile, manufacturer), .max = 200,
     .text = "Who makes it."},
    {"source", CONFIG_TEXT, AT(struct config_profile, source), .max = 1024,
     .text = "Where the map comes from: the manual with its revision."},
    {"maturity", CONFIG_WORD, AT(struct config_profile, tested), .otherwise = "manual", .words = maturities,
     .text = "From a manual only, or tested with a real device."},
    {"line", CONFIG_MAP, .section = &line_section, .text = "Factory setting."},
    {"limits", CONFIG_MAP, .section = &limits_section, .text = "What the device can bear."},
    {"wires", CONFIG_TEXT, AT(struct config_profile, wires), .max = 300,
     .text = "Colours of the cable and the supply."},
    {"notes", CONFIG_TEXTS, AT(struct config_profile, notes),
     .count = offsetof(struct config_profile, note_count), .max = 600,
     .text = "What a technician should know before installing it."},
    {"identify", CONFIG_LIST, AT(struct config_profile, probes),
     .count = offsetof(struct config_profile, probe_count), .section = &probe_section,
     .text = "What a scan can look for."},
    {"report", CONFIG_MAP, AT(struct config_profile, report), .section = &config_report_keys,
     .otherwise_says = "every reading is kept",
     .text = "For devices and points that say nothing themselves: which readings are not worth storing and "
             "sending."},
    {"aggregate", CONFIG_DURATION, AT(struct config_profile, aggregate_ms), .min = SECONDS(1), .max = DAYS(1),
     .otherwise_says = "every reading is kept",
     .text = "For devices and points that say nothing themselves: minimum, mean, maximum and count over so "
             "long."},
    {"points", CONFIG_LIST, true, AT(struct config_profile, points),
     .count = offsetof(struct config_profile, point_count), .section = &config_point_keys,
     .text = N_("What the device measures.")},
};
const struct config_section config_profile_keys = {.name = "profile",
                                                   .text = "A device model: PROFILES/<name>.yaml.",
                                                   .size = sizeof(struct config_profile),
                                                   KEYS(profile_keys)};
