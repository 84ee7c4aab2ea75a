"""Groups and messages of the phone linked by QR code."""

import pytest

ANA, BEA, EVA = "584141924112", "584148566479", "34624477715"


async def create(call, name="equipo", numbers=(ANA, BEA)):
    return await call.qr("POST /create-group", {"name": name, "numbers": list(numbers)})


async def in_group(call, request, **fields):
    return await call.qr(request, {"groupName": "equipo", **fields})


async def test_the_phone_is_linked(call):
    """There is a code to scan, and the status says connected."""
    status, answer = await call.qr("GET /qr")
    assert (status, answer["qr"].startswith("2@")) == (200, True)
    _, answer = await call.qr("GET /status")
    assert answer["status"] == "CONNECTED"


async def test_a_group_is_created_with_its_participants(call):
    """Each once, numbers as strings or JSON numbers."""
    expected = {
        "id": f"{1:032x}",
        "groupName": "equipo",
        "description": "",
        "participants": [ANA, BEA],
        "admins": [],
    }
    assert (200, expected) == await create(call, numbers=(ANA, int(BEA), ANA))


async def test_a_groups_name_is_its_key(call):
    """A second of the same name is refused, and so is renaming one to it."""
    await create(call)
    assert await create(call) == (400, {"error": "name is the name of another group"})
    await create(call, "otro")
    status, answer = await in_group(call, "POST /update-group-info", newSubject="otro")
    assert (status, answer["error"]) == (400, "newSubject is the name of another group")


async def test_participants_and_admins_come_and_go(call):
    """A participant who leaves is no longer an admin."""
    await create(call)
    _, group = await in_group(call, "POST /add-participants", numbers=[EVA, ANA])
    assert group["participants"] == [ANA, BEA, EVA]
    _, group = await in_group(call, "POST /make-group-admins", numbers=[EVA, BEA, EVA])
    assert group["admins"] == [EVA, BEA]
    _, group = await in_group(call, "POST /demote-group-admins", numbers=[BEA])
    assert (group["admins"], group["participants"]) == ([EVA], [ANA, BEA, EVA])
    _, group = await in_group(call, "POST /remove-participants", numbers=[EVA])
    assert (group["admins"], group["participants"]) == ([], [ANA, BEA])


@pytest.mark.parametrize("request_", ["remove-participants", "make-group-admins"])
async def test_a_number_outside_the_group_is_refused(call, request_):
    """It can be neither removed nor promoted, and the others are not touched."""
    await create(call)
    status, answer = await in_group(call, f"POST /{request_}", numbers=[ANA, EVA])
    assert (status, answer["error"]) == (400, "numbers must be participants of the group")
    _, group = await in_group(call, "POST /add-participants", numbers=[ANA])
    assert (group["participants"], group["admins"]) == ([ANA, BEA], [])


async def test_a_group_keeps_its_messages_and_link_under_a_new_name(call, emulator):
    """The old name is free again."""
    await create(call)
    _, link = await in_group(call, "GET /generate-invite-link")
    _, sent = await in_group(call, "POST /send-message-to-group", message="Hola a todos")
    update = {"newSubject": "nuevo", "newDescription": "Para todos"}
    _, group = await in_group(call, "POST /update-group-info", **update)
    assert (group["groupName"], group["description"]) == ("nuevo", "Para todos")
    renamed = {"groupName": "nuevo"}
    assert (200, link) == await call.qr("GET /generate-invite-link", renamed)
    _, last = await call.qr("GET /get-last-group-messages", renamed)
    assert [("Hola a todos", sent["id"])] == [(m["message"], m["id"]) for m in last["messages"]]
    assert [(m.product, m.recipient) for m in emulator.received] == [("whatsapp_qr", "equipo")]
    assert (await create(call))[0] == 200


async def test_an_update_needs_something_to_update(call):
    """Name or description; its own name again is fine."""
    await create(call)
    status, answer = await in_group(call, "POST /update-group-info")
    assert (status, answer["error"]) == (400, "newSubject or newDescription is missing")
    status, _ = await in_group(call, "POST /update-group-info", newSubject="equipo")
    assert status == 200


@pytest.mark.parametrize(
    "request_",
    [
        "POST /add-participants",
        "POST /remove-participants",
        "POST /make-group-admins",
        "POST /demote-group-admins",
        "POST /update-group-info",
        "POST /send-message-to-group",
        "GET /generate-invite-link",
        "GET /get-last-group-messages",
    ],
)
async def test_an_unknown_group_is_not_found(call, request_):
    """404, for each call that names a group."""
    fields = {"numbers": [ANA], "message": "Hola", "newSubject": "otro"}
    assert await in_group(call, request_, **fields) == (404, {"error": "groupName not found"})


async def test_the_last_messages_of_a_number_are_kept(call):
    """At most 50, oldest first; a number that got none has none."""
    for n in range(51):
        await call.qr("POST /send", {"number": int(ANA), "message": str(n)})
    _, answer = await call.qr("GET /get-last-messages", {"number": ANA})
    assert [str(n) for n in range(1, 51)] == [m["message"] for m in answer["messages"]]
    assert answer["messages"][0]["to"] == ANA
    assert await call.qr("GET /get-last-messages", {"number": BEA}) == (200, {"messages": []})
