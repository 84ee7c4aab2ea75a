"""The inbox of the emulator, seen in a real browser."""

import asyncio
import json
import queue
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from connectus_async import Connectus
from connectus_async.emulator import Emulator

pytestmark = pytest.mark.timeout(180)

NUMBER = "56987688060"
SENDER = "56442341000"
HOSTILE = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
WAIT_SECONDS = 30
BACKGROUND = "return getComputedStyle(document.body).backgroundColor"
WIDTH = "return document.documentElement.scrollWidth"


class Receiver:
    """A receiver of webhooks in a thread, which puts their bodies into a queue."""

    def __init__(self) -> None:
        self.bodies: queue.Queue[dict[str, Any]] = queue.Queue()
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"gracias")

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Self:
        Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def emulator(receiver: Receiver) -> Iterator[Emulator]:
    with Emulator(inbox=True, incoming_webhook=receiver.url) as emulator:
        yield emulator


@pytest.fixture
def connectus(emulator: Emulator) -> Iterator[Connectus]:
    settings = {"base_url": emulator.base_url, "qr_base_url": emulator.qr_base_url}
    with Connectus(
        emulator.api_user, emulator.api_key, qr_token=emulator.qr_token, **settings
    ) as connectus:
        yield connectus


def send_email(
    connectus: Connectus, subject: str, content: str, to: str = "ana@example.com"
) -> None:
    connectus.email.send(to, subject, content, src_email="contacto@example.com")


class Page:
    """The page in the browser; what is looked for is waited for."""

    def __init__(self, browser: Chrome, emulator: Emulator) -> None:
        self.browser = browser
        self.url = emulator.inbox_url

    def show(self, *, width: int = 1280, scheme: str = "light", language: str = "en-GB") -> None:
        agent = self.browser.execute_script("return navigator.userAgent")
        for command, settings in (
            (
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
            ),
            (
                "Emulation.setEmulatedMedia",
                {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
            ),
            ("Network.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": language}),
        ):
            self.browser.execute_cdp_cmd(command, settings)
        self.browser.get("about:blank")
        self.browser.get_log("browser")
        self.browser.get(self.url)
        self.until(lambda: self.all("#live.on"))

    def until(self, condition: Any) -> Any:
        return WebDriverWait(self.browser, WAIT_SECONDS, poll_frequency=0.05).until(
            lambda _: condition()
        )

    def all(self, selector: str) -> list[WebElement]:
        return [
            element
            for element in self.browser.find_elements(By.CSS_SELECTOR, selector)
            if element.is_displayed()
        ]

    def one(self, selector: str, containing: str = "") -> WebElement:
        """The first such element with a text; it is looked up again if the page draws it anew."""

        def found() -> WebElement | None:
            return self.browser.execute_script(
                "return [...document.querySelectorAll(arguments[0])].find(it =>"
                " it.offsetParent !== null && it.textContent.includes(arguments[1]))",
                selector,
                containing,
            )

        return self.until(found)

    def text(self, selector: str, containing: str = "") -> str:
        """The text of the first such element, at once: it may be drawn anew at any time."""
        return self.until(
            lambda: self.browser.execute_script(
                "return [...document.querySelectorAll(arguments[0])].find(it =>"
                " it.offsetParent !== null && it.textContent.includes(arguments[1]))?.textContent",
                selector,
                containing,
            )
        )

    def shows(self, *texts: str) -> None:
        """Wait until the rows of the list have these texts."""
        rows = """return [...document.querySelectorAll('.row')].filter(it => !it.hidden)
            .map(it => it.querySelector('.what').lastElementChild.textContent)"""
        self.until(lambda: self.browser.execute_script(rows) == list(texts))


@pytest.fixture
def page(browser: Chrome, emulator: Emulator) -> Page:
    return Page(browser, emulator)


def test_a_message_appears_is_replied_to_and_the_webhook_is_shown(page, connectus, receiver):
    """All of it live: nobody loads the page again."""
    page.show()
    assert "No messages yet" in page.text("#empty")

    connectus.sms.send(NUMBER, "¿Llegó bien?")
    page.one(".row", "¿Llegó bien?").click()
    page.one(".talk .chosen", "¿Llegó bien?")
    page.one("#reply-text").send_keys("Sí, gracias", Keys.ENTER)

    assert receiver.bodies.get(timeout=WAIT_SECONDS)["sms_content"] == "Sí, gracias"
    page.until(lambda: "200" in page.text(".bubble.mine", "Sí, gracias"))


def test_a_message_shows_what_was_on_the_wire(page, connectus, emulator):
    """Without the key, with each part of the SMS, and every state."""
    connectus.sms.send(NUMBER, "a" * 200)
    page.show()
    page.one(".row").click()

    assert "GSM-7 · 200 units · 2 parts" in page.text(".bubble")
    assert page.text(".part") == "2/2"
    request = page.text("[data-name=request] pre")
    assert request.startswith("POST /api_v3/sms/send_individual HTTP/1.1")
    assert "Authorization: Basic ***" in request
    assert "HTTP/1.1 200 OK" in page.text("[data-name=answer] pre")
    assert page.one(".states li", "ENTREGADO")


def test_a_message_is_text_whatever_it_holds(page, connectus, browser):
    """In the list, on the phone, in an email and its source: nothing in it runs."""
    connectus.sms.send(NUMBER, HOSTILE)
    connectus.whatsapp.send(NUMBER, HOSTILE, src_number=SENDER)
    send_email(connectus, HOSTILE, HOSTILE)
    page.show()
    page.shows(HOSTILE, HOSTILE, HOSTILE)
    page.one(".row", "WhatsApp").click()
    page.one(".bubble.whatsapp .text", HOSTILE)
    page.one(".bubble.sms .text", HOSTILE)
    page.one(".row", "Email").click()
    page.one(".mail b", HOSTILE)
    page.one("[data-name=source] pre", HOSTILE)

    frame = page.one("iframe")
    assert frame.get_attribute("sandbox") == ""
    browser.switch_to.frame(frame)
    page.until(lambda: browser.find_elements(By.TAG_NAME, "script"))
    assert browser.execute_script("return document.title") == ""
    browser.switch_to.default_content()
    assert browser.execute_script("return document.querySelectorAll('main img').length") == 0
    assert browser.title != "run"


def test_a_search_and_filters_find_messages(page, connectus, browser):
    """By the keyboard; Escape leaves the field."""
    for number in range(30):
        connectus.sms.send(f"569600000{number:02}", f"pedido {number:02}")
    connectus.whatsapp.send(NUMBER, "otro canal", src_number=SENDER)
    page.show()
    page.one(".row", "otro canal")

    browser.switch_to.active_element.send_keys("/")
    browser.switch_to.active_element.send_keys("PEDIDO 17")
    page.shows("pedido 17")
    assert page.text("#count") == "1 message"
    browser.switch_to.active_element.clear()
    page.one("#text").send_keys("p", Keys.BACKSPACE, Keys.ESCAPE)
    page.one("#channel").send_keys("WhatsApp", Keys.ESCAPE)
    page.shows("otro canal")


def test_the_keyboard_moves_through_the_list(page, connectus, browser):
    """With j and k and the arrows; Escape closes the message."""
    for number in range(3):
        connectus.sms.send(NUMBER, f"pedido {number}")
    page.show()
    page.shows("pedido 2", "pedido 1", "pedido 0")

    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys("jj")
    page.one(".row[aria-selected=true]", "pedido 1")
    body.send_keys(Keys.ARROW_DOWN)
    page.one(".row[aria-selected=true]", "pedido 0")
    body.send_keys("k")
    page.one("#talk .chosen", "pedido 1")
    body.send_keys(Keys.ESCAPE)
    page.until(lambda: not page.all("#detail"))


def test_faults_are_placed_and_removed_by_hand(page, connectus, emulator):
    """The page places what its form says, and counts what it struck."""
    page.show()
    page.one("#open-faults").click()
    page.one("#placed", "No fault is in effect.")
    page.one("#fault-route").send_keys("sms.send")
    page.one("#fault-name").send_keys("Status")
    page.one("#place .main").click()
    page.one("#placed li", "sms.send · status 500")
    page.until(lambda: page.text("#fault-count") == "1")
    (placed,) = emulator._faults.placed
    assert (placed.fault.name, placed.route) == ("status 500", "sms.send")

    page.one("#placed button").click()
    page.one("#placed", "No fault is in effect.")
    assert list(emulator._faults.placed) == []


def test_all_is_cleared_after_a_question(page, connectus, emulator):
    """Then the page is as at the beginning."""
    connectus.sms.send(NUMBER, "Hola")
    page.show()
    page.one(".row", "Hola")
    page.one("#open-clear").click()
    page.one("#clear-now").click()

    page.one("#empty", "No messages yet")
    assert emulator.received == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_its_screen_in_light_and_dark(page, connectus, browser, width, scheme):
    """Nothing sticks out at the side, before and after a message is chosen."""
    connectus.sms.send(NUMBER, "x" * 400)
    send_email(connectus, "y" * 200, "<p>" + "z" * 500, to="a" * 60 + "@example.com")
    page.show(width=width, scheme=scheme)
    assert (
        browser.execute_script(BACKGROUND)
        == {
            "light": "rgb(244, 245, 247)",
            "dark": "rgb(18, 22, 29)",
        }[scheme]
    )
    for channel in ("SMS", "Email"):
        page.one(".row", channel).click()
        page.one("#facts .card")
        assert browser.execute_script(WIDTH) <= width
        if width < 500:
            page.one("#back").click()
    assert browser.execute_script(WIDTH) <= width


@pytest.mark.parametrize(
    ("language", "empty"), [("es-CL", "Aún no hay mensajes"), ("fr-FR", "No messages yet")]
)
def test_it_speaks_the_language_of_the_browser(page, browser, language, empty):
    """Spanish or English, and numbers in its form."""
    page.show(language=language)
    page.one("#empty", empty)
    assert browser.execute_script("return document.documentElement.lang") == (
        "es" if language.startswith("es") else "en"
    )
    page.one("#open-balance").click()
    page.one("#amounts td", "1.000.000" if language.startswith("es") else "1,000,000")


def test_every_word_is_there_in_both_languages(page, browser):
    """The same names, and the same placeholders."""
    page.show()
    words = json.loads(browser.execute_script("return words.textContent"))

    assert words["en"].keys() == words["es"].keys()
    for name, sentence in words["en"].items():
        assert sentence.count("{count}") == words["es"][name].count("{count}"), name


def test_nothing_is_asked_elsewhere_and_nothing_is_complained_of(page, connectus, browser):
    """Also of an email with a picture of another server."""
    send_email(connectus, "Hola", "<p>Hola <img src='https://example.com/x'>")
    browser.get("about:blank")
    browser.get_log("performance")
    page.show()
    page.one(".row").click()
    page.one("iframe")

    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        event["params"]["response"]["url"]
        for event in events
        if event["method"] == "Network.responseReceived"
    }
    assert all(url.startswith((page.url, "data:")) for url in asked)
    errors = [entry["message"] for entry in browser.get_log("browser")]
    assert all("img-src" in error for error in errors), errors


def test_a_lost_connection_is_shown_and_found_again(page, connectus, emulator):
    """The page says so, and goes on when the emulator is there again."""
    page.show()
    emulator.call(_refused(emulator, lambda: page.until(lambda: page.all("#live:not(.on)"))))
    page.until(lambda: page.all("#live.on"))
    connectus.sms.send(NUMBER, "Hola")
    page.one(".row", "Hola")


async def _refused(emulator: Emulator, look: Any) -> None:
    async with emulator.refusing():
        await asyncio.to_thread(look)
