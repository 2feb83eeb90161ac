"""What the process and its machine use: processor, memory, network, and the limits of these.

The process's own figures come from prometheus-client under their usual names (`process_*`). Network
and machine are counted by the kernel for all processes of the machine or container, so of several
processes on one the dashboards take the maximum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
from prometheus_client import Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from pacewheel.memory import limit_bytes
from pacewheel.processor import limit_cores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry, Metric

LOOPBACK = "lo"
IDLE = ("idle", "iowait")
# Guests' time is in that of the users, too.
TWICE = ("guest", "guest_nice")


class MachineCollector(Collector):
    """Reads the kernel's counters at each scrape."""

    def collect(self) -> Iterator[Metric]:
        """Yield processor, memory and network as they are now."""
        times = psutil.cpu_times()._asdict()
        idle_s = sum(times.get(name, 0.0) for name in IDLE)
        busy_s = sum(took_s for name, took_s in times.items() if name not in IDLE + TWICE)
        cpu = CounterMetricFamily(
            "pacewheel_machine_cpu_seconds",
            "Time of all processors of the machine: busy (what a hypervisor took included), idle",
            labels=["mode"],
        )
        cpu.add_metric(["busy"], busy_s)
        cpu.add_metric(["idle"], idle_s)
        yield cpu
        memory = psutil.virtual_memory()
        yield GaugeMetricFamily(
            "pacewheel_machine_memory_total_bytes", "Memory of the machine", value=memory.total
        )
        yield GaugeMetricFamily(
            "pacewheel_machine_memory_available_bytes",
            "Memory of the machine that can be had without swapping",
            value=memory.available,
        )
        yield from self._network()

    @staticmethod
    def _network() -> Iterator[Metric]:
        received = {"loopback": 0, "other": 0}
        sent = dict(received)
        for name, counters in psutil.net_io_counters(pernic=True).items():
            interface = "loopback" if name.startswith(LOOPBACK) else "other"
            received[interface] += counters.bytes_recv
            sent[interface] += counters.bytes_sent
        for direction, text, numbers in (
            ("receive", "received", received),
            ("transmit", "sent", sent),
        ):
            family = CounterMetricFamily(
                f"pacewheel_network_{direction}_bytes",
                f"Bytes {text} by the machine or container: loopback, other interfaces",
                labels=["interface"],
            )
            for interface, number in numbers.items():
                family.add_metric([interface], number)
            yield family


class ProcessMetrics:
    """The process, its limits and its machine."""

    def __init__(self, registry: CollectorRegistry) -> None:
        ProcessCollector(registry=registry)
        registry.register(MachineCollector())
        self.memory_limit = Gauge(
            "pacewheel_process_memory_limit_bytes",
            "Memory this process may use: memory_max_mb, its control groups' or the machine's",
            registry=registry,
        )
        # A scaler that knows memory_max_mb says it again.
        self.memory_limit.set(limit_bytes())
        self.cpu_limit = Gauge(
            "pacewheel_process_cpu_limit_cores",
            "Processors this process can use: one, as its event loop has one thread, or less if its"
            " control groups allow less",
            registry=registry,
        )
        self.cpu_limit.set(min(1.0, limit_cores()))
