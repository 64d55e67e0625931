# SPDX-License-Identifier: Apache-2.0
"""models - register maps of real sensors, and values that change with every answer.

Registers, types and scales are copied from the makers' manuals and from maintained open templates;
each model names its source. The number a field shows in the n-th answer is a pure function of n, so a
reading that arrives somewhere can be traced to the one answer it came from.
"""

import struct
from dataclasses import dataclass, field as dataclass_field, replace
from decimal import Decimal

TABLES = {1: "coil", 2: "discrete_input", 3: "holding", 4: "input"}

_WIDTH = {"bool": 1, "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2,
          "int64": 4, "uint64": 4, "float64": 4}
_CODE = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f",
         "int64": "q", "uint64": "Q", "float64": "d"}


def shortest_float(value, code):
    """The shortest decimal that reads back as the same float32 ('f') or float64 ('d')."""
    packed = struct.pack(code, value)
    for digits in range(1, 18):
        text = "%.*g" % (digits, value)
        if struct.pack(code, float(text)) == packed:
            return Decimal(text)
    raise ValueError("not a finite float: %r" % value)


def _swap(data, order):
    """Big-endian value bytes <-> bytes on the wire; every order is its own inverse."""
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return b"".join(words)


@dataclass(frozen=True)
class Field:
    """One quantity of a model. It walks from `low` to `high` one tick an answer, then starts again.

    Ticks are raw integers; for a float type the value sent is tick x `tick`.
    """

    name: str
    table: str
    address: int
    type: str = "uint16"
    scale: str = "1"
    unit: str = "1"
    low: int = 0
    high: int = 1
    order: str = "ABCD"
    tick: str = "1"

    @property
    def width(self):
        return _WIDTH[self.type]

    def raw(self, n):
        """The number (or bool) held by the registers in the n-th answer."""
        ticks = self.low + n % (self.high - self.low + 1)
        if self.type == "bool":
            return bool(ticks)
        if self.type in ("float32", "float64"):
            return float(ticks * Decimal(self.tick))
        return ticks

    def words(self, n):
        """The same as 16-bit words (one 0/1 per bit for the bit tables), as they go over the wire."""
        if self.type == "bool":
            return [int(self.raw(n))]
        data = _swap(struct.pack(">" + _CODE[self.type], self.raw(n)), self.order)
        return list(struct.unpack(">%dH" % (len(data) // 2), data))

    def decode(self, words):
        """What a gateway must publish for these words: an exact Decimal, or a bool."""
        if self.type == "bool":
            return bool(words[0])
        data = _swap(struct.pack(">%dH" % len(words), *words), self.order)
        code = ">" + _CODE[self.type]
        raw = struct.unpack(code, data)[0]
        number = shortest_float(raw, code) if isinstance(raw, float) else Decimal(raw)
        return number * Decimal(self.scale)

    def as_point(self):
        """The point as the daemon's configuration wants it."""
        point = {"name": self.name, "register": self.table, "address": self.address}
        if self.type != "bool":
            point["type"] = self.type
            point["unit"] = self.unit
            if self.scale != "1":
                point["scale"] = Decimal(self.scale)
            if self.order != "ABCD":
                point["order"] = self.order
        return point


@dataclass(frozen=True)
class Model:
    """A kind of device. `holes_readable`: undeclared registers read as 0; otherwise they are an exception 2."""

    name: str
    title: str
    source: str
    fields: tuple = dataclass_field(default_factory=tuple)
    holes_readable: bool = False
    max_registers: int = 125


def _table(table, *rows):
    return tuple(Field(name, table, address, **more) for name, address, more in rows)


def _float_inputs(*rows):
    """Eastron meters: every quantity is a big-endian float32 input register pair."""
    return _table("input", *((name, address, dict(type="float32", unit=unit, low=low, high=high, tick=tick))
                             for name, address, unit, low, high, tick in rows))


CWT_SOIL_NPK = Model(
    "cwt-soil-npk-s", "ComWinTop CWT-Soil-NPK-S",
    "ComWinTop CWT-Soil-NPK-S manual V1.0 (github.com/TronixLab/RS485-CWT-SOIL-SENSOR-PROBE 43ff798)",
    _table("holding",
           ("soil_moisture", 0x0000, dict(scale="0.1", unit="%", low=150, high=450)),
           ("soil_temperature", 0x0001, dict(type="int16", scale="0.1", unit="Cel", low=-15, high=360)),
           ("soil_ec", 0x0002, dict(unit="uS/cm", low=40, high=1900)),
           ("soil_ph", 0x0003, dict(scale="0.1", unit="[pH]", low=45, high=75)),
           ("soil_nitrogen", 0x0004, dict(unit="mg/kg", low=10, high=1999)),
           ("soil_phosphorus", 0x0005, dict(unit="mg/kg", low=5, high=900)),
           ("soil_potassium", 0x0006, dict(unit="mg/kg", low=20, high=1500)),
           ("soil_salinity", 0x0007, dict(unit="mg/L", low=20, high=800)),
           ("soil_tds", 0x0008, dict(unit="mg/L", low=20, high=850))))

# The registers start at 1; address 0 is an exception 2, as on the real device.
XY_MD02 = Model(
    "xy-md02", "XY-MD02 air temperature and humidity",
    "wb-mqtt-serial 7f7a2d43 config-xy-md0x; github.com/SantaClaas/serial; domoticx; accautomation",
    _table("input",
           ("air_temperature", 0x0001, dict(type="int16", scale="0.1", unit="Cel", low=-52, high=398)),
           ("air_humidity", 0x0002, dict(scale="0.1", unit="%", low=300, high=1000))))

_SDM_SOURCE = "volkszaehler/mbmd fb8f9c2 meters/rs485/sdm.go and esphome sdm_meter_registers.h 33fdbbe (agree)"
_SDM_COMMON = (
    ("voltage", 0x0000, "V", 21200, 24100, "0.01"),
    ("current", 0x0006, "A", 10, 2900, "0.01"),
    ("active_power", 0x000C, "W", 100, 59000, "0.1"),
    ("power_factor", 0x001E, "1", 700, 1000, "0.001"),
    ("frequency", 0x0046, "Hz", 4960, 5040, "0.01"),
    ("energy_import", 0x0048, "kW.h", 100000, 900000, "0.01"),
    ("energy_export", 0x004A, "kW.h", 0, 1000, "0.01"),
    ("energy_total", 0x0156, "kW.h", 100000, 900000, "0.01"))

EASTRON_SDM120 = Model(
    "eastron-sdm120", "Eastron SDM120", _SDM_SOURCE,
    _float_inputs(*_SDM_COMMON,
                  ("apparent_power", 0x0012, "V.A", 100, 60000, "0.1"),
                  ("reactive_power", 0x0018, "V.A{reactive}", 0, 9000, "0.1")),
    holes_readable=True, max_registers=80)

EASTRON_SDM230 = Model(
    "eastron-sdm230", "Eastron SDM230", _SDM_SOURCE,
    _float_inputs(*_SDM_COMMON,
                  ("phase_angle", 0x0024, "deg", 0, 3599, "0.1"),
                  ("energy_resettable", 0x0180, "kW.h", 0, 90000, "0.01")),
    holes_readable=True, max_registers=80)

PZEM_004T = Model(
    "pzem-004t-v3", "Peacefair PZEM-004T V3 / PZEM-016",
    "esphome pzemac.cpp 33fdbbe; wb-mqtt-serial config-pzem-016 7f7a2d43; energy in Wh as the maker says",
    _table("input",
           ("voltage", 0x0000, dict(scale="0.1", unit="V", low=2120, high=2400)),
           ("current", 0x0001, dict(type="uint32", order="CDAB", scale="0.001", unit="A", low=65000, high=66990)),
           ("active_power", 0x0003, dict(type="uint32", order="CDAB", scale="0.1", unit="W", low=100, high=90000)),
           ("energy", 0x0005, dict(type="uint32", order="CDAB", unit="W.h", low=1000, high=9999990)),
           ("frequency", 0x0007, dict(scale="0.1", unit="Hz", low=496, high=504)),
           ("power_factor", 0x0008, dict(scale="0.01", unit="1", low=70, high=100)),
           ("alarm", 0x0009, dict(low=0, high=0))))

# Not a real device: a number that rises with every answer, to count with.
COUNTER = Model(
    "counter", "Counts its own answers", "invented for tests",
    _table("holding", ("count", 0, dict(type="uint32", low=0, high=0xFFFFFFFF))))

# Neither is this: long samples, to fill a buffer with.
WIDE = Model(
    "wide", "Sixty registers", "invented for tests",
    _table("holding", *(("r%02d" % i, i, dict(low=10000 + i, high=65000)) for i in range(60))))

def npk_probe(unit):
    """A CWT_SOIL_NPK with the registers in which it keeps its unit number and its speed (1: 4800)."""
    return replace(CWT_SOIL_NPK, fields=CWT_SOIL_NPK.fields + (Field("unit", "holding", 0x07D0, low=unit, high=unit),
                                                               Field("speed", "holding", 0x07D1, low=1, high=1)))


# Two blocks of the same shape, whose values cannot be mistaken for each other.
TWINS = Model(
    "twins", "Two registers far apart", "invented for tests",
    _table("holding", ("left", 0, dict(low=10000, high=19999)), ("right", 200, dict(low=30000, high=39999))))

# Not a real device either: every type, every order, all four tables.
EVERYTHING = Model(
    "everything", "Every type and order, all four tables", "invented for tests",
    tuple(Field("coil_%d" % i, "coil", i, "bool", low=i % 2, high=1) for i in range(3))
    + tuple(Field("contact_%d" % i, "discrete_input", 16 + i, "bool") for i in range(10))
    + _table("holding",
             ("u16", 100, dict(low=0, high=65535)),
             ("s16", 101, dict(type="int16", low=-32768, high=32767, scale="0.01")),
             ("u32_abcd", 102, dict(type="uint32", low=4294960000, high=4294967295)),
             ("u32_cdab", 104, dict(type="uint32", order="CDAB", low=70000, high=4294967295)),
             ("u32_badc", 106, dict(type="uint32", order="BADC", low=70000, high=4294967295)),
             ("u32_dcba", 108, dict(type="uint32", order="DCBA", low=70000, high=4294967295)),
             ("s32_cdab", 110, dict(type="int32", order="CDAB", low=-2147483648, high=2147483647)),
             ("u64_abcd", 112, dict(type="uint64", low=9007199254740993, high=18446744073709551615)),
             ("s64_dcba", 116, dict(type="int64", order="DCBA", low=-9223372036854775808, high=-1)))
    + _table("input",
             ("f32_abcd", 200, dict(type="float32", low=-5000, high=5000, tick="0.001")),
             ("f32_cdab", 202, dict(type="float32", order="CDAB", low=1, high=9999, tick="0.1")),
             ("f32_badc", 204, dict(type="float32", order="BADC", low=1, high=9999, tick="1e10")),
             ("f32_dcba", 206, dict(type="float32", order="DCBA", low=1, high=9999, tick="1e-5")),
             ("f64_abcd", 208, dict(type="float64", low=1, high=9999, tick="0.001")),
             ("f64_cdab", 212, dict(type="float64", order="CDAB", low=-99, high=9999, tick="0.7"))))

MODELS = {m.name: m for m in (CWT_SOIL_NPK, XY_MD02, EASTRON_SDM120, EASTRON_SDM230, PZEM_004T, COUNTER,
                            WIDE, TWINS, EVERYTHING)}
