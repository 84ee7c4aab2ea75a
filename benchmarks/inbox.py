"""The inbox of the emulator in Chromium, with many messages: first paint, search, memory.

Needs selenium, and Chromium with its driver. Run from the top of the repository:

    python -m benchmarks.inbox [MESSAGES] [--pictures FOLDER]
"""

import argparse
import random
import shutil
import time
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from connectus_async.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_MESSAGES = 100_000
MOST_SECONDS = 1.0
SWITCHES = ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "no-first-run")
CAMILA = "56987688060"
NAMES = ("Ana", "Benjamín", "Camila", "Diego", "Elisa", "Felipe", "Gabriela", "Hernán")
FIRST_PAINT = """
    const done = arguments[0];
    const look = () => document.querySelector('.row .to')?.textContent.startsWith('569')
        ? requestAnimationFrame(() => done(performance.now())) : requestAnimationFrame(look);
    look();
"""
SEARCH = """
    const [needle, done] = arguments;
    const field = document.getElementById('text');
    const started = performance.now();
    field.value = needle;
    field.dispatchEvent(new Event('input', { bubbles: true }));
    const look = () => {
        const shown = [...document.querySelectorAll('.row')].filter(row => !row.hidden);
        const found = shown.length && shown.every(row => row.textContent.includes(needle));
        if (found) requestAnimationFrame(() => done(performance.now() - started));
        else requestAnimationFrame(look);
    };
    look();
"""
COUNTED = """
    const [messages, done] = arguments;
    const count = document.getElementById('count');
    const look = () => count.textContent.replace(/[^0-9]/g, '') === String(messages)
        ? done() : requestAnimationFrame(look);
    look();
"""
SCROLL = """
    const [steps, done] = arguments;
    const list = document.getElementById('list');
    let longest = 0;
    let step = 0, last = performance.now();
    const go = () => {
        const now = performance.now();
        longest = Math.max(longest, now - last);
        last = now;
        if (step === steps) return done(longest);
        step += 1;
        list.scrollTop = list.scrollHeight * step / steps;
        requestAnimationFrame(go);
    };
    requestAnimationFrame(go);
"""
LAST_ROW = """
    const done = arguments[0];
    const started = performance.now();
    const look = () => {
        const rows = [...document.querySelectorAll('.row')].filter(row => !row.hidden);
        const last = rows.at(-1)?.querySelector('.to').textContent;
        if (last && last !== '…') done(performance.now() - started);
        else requestAnimationFrame(look);
    };
    look();
"""


def fill(emulator: Emulator, messages: int) -> None:
    """Accept messages as the API does, without HTTP."""
    chance = random.Random(0)  # noqa: S311 - made-up texts
    for number in range(messages):
        name = chance.choice(NAMES)
        emulator._state.accept(  # noqa: SLF001 - HTTP would take minutes
            "sms",
            str(56_900_000_000 + number),
            f"Hola {name}, tu pedido {number} va en camino.",
        )


def heap(browser: Chrome) -> float:
    """Return the megabytes of the page's heap, once its garbage is collected."""
    browser.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(it["value"] for it in metrics if it["name"] == "JSHeapUsedSize") / 2**20


def measure(browser: Chrome, emulator: Emulator, messages: int) -> dict[str, float]:
    """Return what was measured, in seconds; the heap in megabytes."""
    browser.set_script_timeout(60)
    browser.execute_cdp_cmd("Performance.enable", {})
    browser.get(emulator.inbox_url)
    run: Callable[..., Any] = browser.execute_async_script
    found = {"first paint": run(FIRST_PAINT) / 1000, "heap at first": heap(browser)}
    for label, needle in (("one", f"pedido {messages // 2} "), ("an eighth", "Camila")):
        found[f"search that finds {label}"] = run(SEARCH, needle) / 1000
    run(SEARCH, "")
    browser.execute_async_script(COUNTED, messages)
    found["longest frame of a scroll through all"] = run(SCROLL, 200) / 1000
    found["last row after it"] = run(LAST_ROW) / 1000
    time.sleep(1)
    found["heap at last"] = heap(browser)
    return found


def conversation(emulator: Emulator) -> None:
    """Accept messages of all channels for the pictures."""
    accept = emulator._state.accept  # noqa: SLF001 - as above
    text = "Hola Camila, tu pedido llega hoy entre las 14:00 y las 18:00 a Av. Providencia 1234. "
    mail = "<h1 style='color:#2a62b8'>Hola Camila</h1><p>Tu pedido va en <b>camino</b>.</p>"
    accept("email", "camila@example.com", mail, subject="Tu pedido va en camino")
    accept("whatsapp", CAMILA, "¿Quieres seguir tu pedido? https://example.com/p/1234 📦")
    accept("sms", CAMILA, text + "Si no estarás, respóndenos con la palabra NO.")


def take_pictures(browser: Chrome, emulator: Emulator, folder: Path) -> None:
    """Save the page with an SMS and an email, wide and narrow, in light and in dark."""
    folder.mkdir(parents=True, exist_ok=True)
    conversation(emulator)
    for scheme, width in product(("light", "dark"), (1280, 390)):
        for command, settings in (
            (
                "setDeviceMetricsOverride",
                {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
            ),
            (
                "setEmulatedMedia",
                {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
            ),
        ):
            browser.execute_cdp_cmd(f"Emulation.{command}", settings)
        for place, name in enumerate(("sms", "whatsapp", "email")):
            browser.get(emulator.inbox_url)
            browser.execute_async_script(FIRST_PAINT)
            browser.execute_script("document.querySelectorAll('.row')[arguments[0]].click()", place)
            time.sleep(1)
            browser.save_screenshot(str(folder / f"inbox-{name}-{width}-{scheme}.png"))


def report(found: dict[str, float]) -> None:
    """Print what was measured, and fail if a person would wait."""
    for name, value in found.items():
        unit = "MB" if "heap" in name else "s"
        print(f"{name:>40}: {value:7.3f} {unit}")
    slow = [name for name, value in found.items() if "heap" not in name and value > MOST_SECONDS]
    assert not slow, slow
    assert found["heap at last"] < found["heap at first"] + 10


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("messages", nargs="?", type=int, default=DEFAULT_MESSAGES)
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="save pictures there")
    arguments = parser.parse_args()
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    with TemporaryDirectory() as profile, Emulator(inbox=True, balance=10**9) as emulator:
        for switch in (*SWITCHES, f"user-data-dir={profile}"):
            options.add_argument(f"--{switch}")
        fill(emulator, arguments.messages)
        browser = Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            report(measure(browser, emulator, arguments.messages))
            if arguments.pictures:
                take_pictures(browser, emulator, arguments.pictures)
        finally:
            browser.quit()


if __name__ == "__main__":
    main()
