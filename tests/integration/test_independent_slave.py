# SPDX-License-Identifier: Apache-2.0
"""The daemon polls slaves that are not ours: pymodbus' servers."""

import asyncio
import threading
from decimal import Decimal

import pytest
import pymodbus_door  # noqa: F401  (before pymodbus)
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server.async_io import ModbusTcpServer
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer

from proc import free_port, wait_until


class PymodbusServer:
    """A pymodbus TCP server in a thread of its own; framer decides between Modbus TCP and RTU-over-TCP."""

    def __init__(self, framer):
        self.port = free_port()
        block = ModbusSequentialDataBlock(0, [0] * 20)
        block.setValues(0, [464, 65435, 44, 90, 32, 88, 104])  # the example of the CWT NPK manual, -10.1 degrees
        slave = ModbusSlaveContext(hr=block, ir=ModbusSequentialDataBlock(0, [0x4248, 0] + [0] * 8),
                                   co=ModbusSequentialDataBlock(0, [1, 0, 1]), zero_mode=True)
        self._context = ModbusServerContext(slaves={3: slave}, single=False)
        self._framer = framer
        self._loop = asyncio.new_event_loop()
        self._server = None
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    async def _serve(self):
        self._server = ModbusTcpServer(self._context, framer=self._framer, address=("127.0.0.1", self.port),
                                       allow_reuse_address=True)
        try:
            await self._server.serve_forever()
        except asyncio.CancelledError:
            pass

    def __enter__(self):
        self._thread.start()
        wait_until(lambda: self._server is not None and self._server.server is not None, 5, "pymodbus' server")
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._server.shutdown(), self._loop).result(5)
        self._thread.join(5)


@pytest.mark.parametrize("protocol, framer", (("tcp", ModbusSocketFramer), ("rtu_over_tcp", ModbusRtuFramer)))
def test_the_daemon_reads_from_pymodbus(stage, protocol, framer):
    points = [{"name": "soil_moisture", "register": "holding", "address": 0, "scale": 0.1, "unit": "%"},
              {"name": "soil_temperature", "register": "holding", "address": 1, "type": "int16", "scale": 0.1,
               "unit": "Cel"},
              {"name": "level", "register": "input", "address": 0, "type": "float32", "unit": "m"},
              {"name": "pump", "register": "coil", "address": 2}, {"name": "valve", "register": "coil", "address": 1}]
    with PymodbusServer(framer) as server:
        stage.start_broker()
        stage.subscribe()
        settings = stage.settings()
        settings["buses"] = [{"name": "b", "protocol": protocol, "host": "127.0.0.1", "tcp_port": server.port,
                              "timeout": "1s"}]
        settings["devices"] = [{"name": "probe", "bus": "b", "unit": 3, "every": "300ms", "points": points}]
        stage.configure(settings)
        stage.start_daemon()
        sample = stage.subscriber.sample("probe")
        stage.daemon.stop()
    assert sample["values"] == {"soil_moisture": Decimal("46.4"), "level": 50, "pump": True,
                                "soil_temperature": Decimal("-10.1"), "valve": False}
