"""A search answer of the atlas with its images, made of phantom fields, for an `Atlas` server to give."""

import io

import numpy as np
from acquire.atlas_server import Atlas, body, redirect
from PIL import Image

from lexy.data.phantom import DIAMETER, phantom_field

ENTRY = """<entry version="23"><name>GENE{at}</name><identifier id="ENSG{at:011d}" db="Ensembl"/>
<antibody id="HPA0{antibody}"><cellExpression source="HPA" technology="ICC/IF"><subAssay type="human"><data>
<cellLine>{line}</cellLine><location>Cytosol</location><assayImage><image imageType="sampleImage">
<channel color="blue">nucleus</channel><channel color="red">microtubules</channel>
<channel color="green">antibody</channel>
<imageUrl>http://images.proteinatlas.org/{antibody}/12_A{at}_1_blue_red_green.jpg</imageUrl>
</image></assayImage></data></subAssay></cellExpression></antibody></entry>"""


def search_answer(fields: int) -> tuple[bytes, dict[str, bytes]]:
    """The XML, and the images by their path."""
    entries, images = [], {}
    for at in range(fields):
        antibody = 50000 + at
        entries.append(ENTRY.format(at=at, antibody=antibody, line=("U2OS", "A-431")[at % 2]))
        field = phantom_field(7, at, size=128, diameter=DIAMETER / 2)
        for channel, image in (("blue", field.nuclear), ("green", field.protein)):
            buffer = io.BytesIO()
            Image.fromarray(np.asarray(image)).save(buffer, "JPEG", quality=95)
            images[f"{antibody}/12_A{at}_1_{channel}.jpg"] = buffer.getvalue()
    return f'<proteinAtlas schemaVersion="3.1">{"".join(entries)}</proteinAtlas>'.encode(), images


def give(atlas: Atlas, fields: int) -> list[str]:
    """Let a server answer `/search.xml` and `/images/…`, both through a redirect as the atlas does; give the options
    of lexy-prepare that lead there."""
    xml, images = search_answer(fields)
    pages = {"search.xml": body(xml, "text/xml")} | {f"images/{path}": body(it) for path, it in images.items()}
    for path, answer in pages.items():
        atlas.answers[f"/{path}"] = [redirect(f"/moved/{path}")]
        atlas.answers[f"/moved/{path}"] = [answer]
    return [
        f"index.source={atlas.address}/search.xml",
        f"download.mirror={atlas.address}/images",
        "politeness.hosts=[proteinatlas.org,127.0.0.1]",
        "politeness.rate=1000",
    ]
