/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd_export_time.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "err.h"

#define DAY_MS (24 * 3600 * INT64_C(1000))

/* ---- so long ago ---- */

static int64_t unit_ms(const char *unit)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", DAY_MS}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(units[i].unit, unit) == 0)
            return units[i].ms;
    return 0;
}

static int parse_ago(const char *text, int64_t now_ms, int64_t *ret_ms)
{
    char *unit;
    unsigned long n = strtoul(text, &unit, 10);
    int64_t ms = unit_ms(unit);
    if (!isdigit((unsigned char)text[0]) || unit - text > 6 || ms == 0)
        return FG_EINVALID;
    *ret_ms = now_ms - (int64_t)n * ms;
    return 0;
}

/* ---- dates ---- */

struct date {
    int year, month, day, hour, minute, second, ms;
    bool has_time, has_zone;
    int zone_minutes; /* east of UTC */
};

/* Exactly `digits` digits, not above `most`; moves on. */
static bool number(const char **at, int digits, int least, int most, int *ret)
{
    *ret = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (!isdigit((unsigned char)**at))
            return false;
        *ret = *ret * 10 + (**at - '0');
    }
    return *ret >= least && *ret <= most;
}

static bool letter(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static bool parse_day(const char **at, struct date *d)
{
    return number(at, 4, 1, 9999, &d->year) && letter(at, '-') && number(at, 2, 1, 12, &d->month) &&
           letter(at, '-') && number(at, 2, 1, days_in(d->year, d->month), &d->day);
}

static bool parse_fraction(const char **at, struct date *d)
{
    int scale = 100;
    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); (*at)++, scale /= 10)
        d->ms += (**at - '0') * scale; /* further digits: scale 0 */
    return true;
}

static bool parse_clock(const char **at, struct date *d)
{
    d->has_time = true;
    if (!number(at, 2, 0, 23, &d->hour) || !letter(at, ':') || !number(at, 2, 0, 59, &d->minute))
        return false;
    if (letter(at, ':') && !number(at, 2, 0, 60, &d->second))
        return false;
    return !letter(at, '.') || parse_fraction(at, d);
}

static bool parse_zone(const char **at, struct date *d)
{
    int hours, minutes;
    d->has_zone = true;
    if (letter(at, 'Z') || letter(at, 'z'))
        return true;
    int sign = **at == '-' ? -1 : 1;
    if (!letter(at, '+') && !letter(at, '-'))
        return false;
    if (!number(at, 2, 0, 23, &hours) || !letter(at, ':') || !number(at, 2, 0, 59, &minutes))
        return false;
    d->zone_minutes = sign * (hours * 60 + minutes);
    return true;
}

static bool parse_date(const char *text, struct date *d)
{
    const char *at = text;
    if (!parse_day(&at, d))
        return false;
    if ((letter(&at, 'T') || letter(&at, 't') || letter(&at, ' ')) && !parse_clock(&at, d))
        return false;
    if (*at && d->has_time && !parse_zone(&at, d))
        return false;
    return *at == '\0';
}

int cmd_export_time_parse(const char *text, int64_t now_ms, bool end, int64_t *ret_ms)
{
    struct date d = {0};
    if (strcmp(text, "now") == 0) {
        *ret_ms = now_ms;
        return 0;
    }
    if (!parse_date(text, &d))
        return parse_ago(text, now_ms, ret_ms);
    struct tm tm = {.tm_year = d.year - 1900,
                    .tm_mon = d.month - 1,
                    .tm_mday = d.day + (end && !d.has_time), /* where clocks change, a day is not 24 hours */
                    .tm_hour = d.hour,
                    .tm_min = d.minute,
                    .tm_sec = d.second,
                    .tm_isdst = -1};
    time_t t = d.has_zone ? timegm(&tm) - d.zone_minutes * 60 : mktime(&tm);
    *ret_ms = (int64_t)t * 1000 + d.ms;
    return 0;
}

void cmd_export_time_format(int64_t ms, char ret[CMD_EXPORT_TIME_TEXT])
{
    int64_t rest = ms % 1000;
    time_t t = (time_t)(ms / 1000); /* towards 0 */
    if (rest < 0) {
        rest += 1000;
        t--;
    }
    struct tm tm;
    ret[0] = '\0';
    if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
        return;
    snprintf(ret, CMD_EXPORT_TIME_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)rest);
}
