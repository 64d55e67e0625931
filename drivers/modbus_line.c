/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_line.h"
#include "../gateway/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static const struct {
    int baud;
    speed_t code;
} speeds[] = {
    {300, B300},         {600, B600},         {1200, B1200},       {1800, B1800},       {2400, B2400},
    {4800, B4800},       {9600, B9600},       {19200, B19200},     {38400, B38400},     {57600, B57600},
    {115200, B115200},   {230400, B230400},   {460800, B460800},   {500000, B500000},   {576000, B576000},
    {921600, B921600},   {1000000, B1000000}, {1152000, B1152000}, {1500000, B1500000}, {2000000, B2000000},
    {2500000, B2500000}, {3000000, B3000000}, {3500000, B3500000}, {4000000, B4000000},
};

static bool find_speed(int baud, speed_t *ret)
{
    for (size_t i = 0; i < sizeof speeds / sizeof *speeds; i++)
        if (speeds[i].baud == baud) {
            *ret = speeds[i].code;
            return true;
        }
    return false;
}

int modbus_line_check(const struct modbus_line *line, struct err_note *note)
{
    speed_t code;
    if (!find_speed(line->baud, &code))
        return err_note(note, FG_EINVALID,
                        "%d is not a standard speed; take the one in the sensor's manual, "
                        "mostly 4800, 9600 or 19200",
                        line->baud);
    const char *f = line->format;
    if (f[0] != '8' || f[1] == '\0' || !strchr("NEO", f[1]) || (f[2] != '1' && f[2] != '2') || f[3] != '\0')
        return err_note(note, FG_EINVALID, "\"%.4s\" is not a line format; take 8N1, 8E1, 8O1 or 8N2", f);
    return 0;
}

int64_t modbus_line_chars_us(const struct modbus_line *line, size_t chars)
{
    int bits = 1 + 8 + (line->format[1] != 'N') + (line->format[2] - '0');
    return ((int64_t)chars * bits * 1000000 + line->baud - 1) / line->baud;
}

int64_t modbus_line_silence_us(const struct modbus_line *line)
{
    if (line->baud > 19200)
        return 1750;
    return (35 * 11 * 1000000LL / 10 + line->baud - 1) / line->baud;
}

int modbus_line_explain(const char *port, int error, struct err_note *note)
{
    const char *advice = _("check the adapter and its driver (dmesg)");
    switch (error) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        advice = _("the adapter is not there: plug it in, or take its name from /dev/serial/by-id");
        break;
    case EACCES:
    case EPERM:
        advice = _("give the service's user access to it (group dialout)");
        break;
    case EBUSY:
    case EWOULDBLOCK:
        return err_note(note, FG_EIO,
                        "%s: in use by another program; stop that program (fuser -v %s names it)", port,
                        port);
    case EIO:
        advice = _("the adapter was unplugged or has failed");
        break;
    case ENOTTY:
    case EINVAL:
        advice = _("it is no serial port: check `port`, or take a name from /dev/serial/by-id");
        break;
    }
    return err_note(note, FG_EIO, "%s: %s; %s", port, text_errno(error), advice);
}

int modbus_line_lock(const char *port, struct err_note *note)
{
    int fd = open(port, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return modbus_line_explain(port, errno, note);
    int error = 0;
    if (!isatty(fd))
        error = ENOTTY;
    else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        error = errno;
    if (error == 0)
        return fd;
    close(fd);
    return modbus_line_explain(port, error, note);
}

int modbus_line_rs485(int fd, const char *port, enum modbus_rs485 mode, struct err_note *note)
{
    struct serial_rs485 s = {0};
    if (mode == MODBUS_RS485_AUTO)
        return 0;
    if (ioctl(fd, TIOCGRS485, &s) < 0) {
        if (mode == MODBUS_RS485_OFF) /* it knows no other way */
            return 0;
        return err_note(note, FG_EIO,
                        "%s: its driver cannot switch the direction (rs485: on); most USB adapters do that "
                        "by themselves: write rs485: auto",
                        port);
    }
    uint32_t direction = SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND | SER_RS485_RTS_AFTER_SEND;
    s.flags &= ~direction;
    if (mode == MODBUS_RS485_ON)
        s.flags |= SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND;
    if (ioctl(fd, TIOCSRS485, &s) < 0)
        return err_note(note, FG_EIO, "%s: rs485: %s is refused: %s; write rs485: auto", port,
                        mode == MODBUS_RS485_ON ? "on" : "off", text_errno(errno));
    return 0;
}

int modbus_line_apply(int fd, const char *port, const struct modbus_line *line, struct err_note *note)
{
    speed_t code;
    struct termios t;
    if (!find_speed(line->baud, &code))
        return err_note(note, FG_EINVALID, "%s: %d is not a standard speed", port, line->baud);
    if (tcgetattr(fd, &t) < 0)
        return modbus_line_explain(port, errno, note);
    cfmakeraw(&t);
    cfsetispeed(&t, code);
    cfsetospeed(&t, code);
    t.c_cflag &= ~(tcflag_t)(CSIZE | CSTOPB | PARENB | PARODD | CRTSCTS);
    t.c_cflag |= CREAD | CLOCAL | CS8;
    if (line->format[1] != 'N')
        t.c_cflag |= PARENB | (line->format[1] == 'O' ? PARODD : 0u);
    if (line->format[2] == '2')
        t.c_cflag |= CSTOPB;
    t.c_cc[VMIN] = 0;
    t.c_cc[VTIME] = 0;
    /* Not TCSADRAIN: our last byte left long ago (the caller waits for its computed end), and draining a
     * dead adapter blocks for ever. */
    /* It succeeds when any part of it did, and says EINVAL when parity was all that was new on a port that
     * has none: a virtual one, whose real line is set elsewhere. The speed tells whether it was taken. */
    if (tcflush(fd, TCIFLUSH) < 0 || (tcsetattr(fd, TCSANOW, &t) < 0 && errno != EINVAL) ||
        tcgetattr(fd, &t) < 0)
        return modbus_line_explain(port, errno, note);
    if (cfgetospeed(&t) != code)
        return err_note(note, FG_EINVALID, "%s: the adapter cannot do %d baud; take another one", port,
                        line->baud);
    return 0;
}
