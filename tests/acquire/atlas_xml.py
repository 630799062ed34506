"""XML in the shape of the atlas's, with all that is found in it."""

from collections.abc import Iterable, Sequence

IMAGES = "http://images.proteinatlas.org"
STAINS = (("blue", "nucleus"), ("red", "microtubules"), ("green", "antibody"))


def image(
    address: str | None, kind: str = "sampleImage", stains: Iterable[tuple[str, str]] = STAINS, **attributes: str
) -> str:
    channels = "".join(f'<channel color="{colour}">{stain}</channel>' for colour, stain in stains)
    url = "" if address is None else f"<imageUrl>{address}</imageUrl>"
    more = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f'<image imageType="{kind}"{more}>{channels}{url}</image>'


def data(images: Sequence[str], cell_line: str | None = "U-2 OS", locations: Sequence[str] = ("cytosol",)) -> str:
    cells = "" if cell_line is None else f'<cellLine organ="Mesenchymal">{cell_line}</cellLine>'
    places = "".join(f'<location GOId="GO:1">{location}</location>' for location in locations)
    return f"<data>{cells}{places}<assayImage>{''.join(images)}</assayImage></data>"


def assay(*content: str, kind: str = "human", more: str = "") -> str:
    """A sub-assay with a selected image."""
    selected = image(f"{IMAGES}/1/if_selected.jpg", "selected", ())
    verification = '<verification type="validation">approved</verification>'
    return f'<subAssay type="{kind}"{more}>{verification}{selected}{"".join(content)}</subAssay>'


def expression(*assays: str, technology: str = "ICC/IF") -> str:
    return f'<cellExpression source="HPA" technology="{technology}">{"".join(assays)}</cellExpression>'


def tissues(count: int) -> str:
    samples = "".join(
        f"<patient><patientId>{at}</patientId><sample><assayImage>"
        f"{image(f'{IMAGES}/1/2_A_{at}_1.jpg', stains=())}</assayImage></sample></patient>\n"
        for at in range(count)
    )
    return f'<tissueExpression source="HPA" technology="IHC"><data>{samples}</data></tissueExpression>'


def antibody(id: str, *content: str) -> str:
    return f'<antibody id="{id}" releaseVersion="1">{"".join(content)}</antibody>'


def entry(*content: str, gene: str = "CCNB1", version: str = "20", reliability: str = "approved") -> str:
    """With the gene's own expression, which comes first and holds one selected image."""
    selected = image(f"{IMAGES}/1/1_A1_1_selected.jpg", "selected", ())
    own = expression(f'<verification type="reliability">{reliability}</verification>{selected}<data></data>')
    name = f'<name>{gene}</name><synonym>X</synonym><identifier id="ENSG1" db="Ensembl"><xref id="P1"/></identifier>'
    return f'<entry version="{version}" url="{IMAGES}">{name}{own}{"".join(content)}</entry>'


def atlas(*entries: str) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<proteinAtlas schemaVersion="2.5">'
    return "\n".join([head, *entries, "</proteinAtlas>\n"]).encode()


def field(
    number: int = 4109,
    name: str = "24_H11_1",
    cell_line: str = "U-2 OS",
    locations: Sequence[str] = ("cytosol",),
    **of_entry: str,
) -> str:
    """An entry with one field."""
    images = [image(f"{IMAGES}/{number}/{name}_blue_red_green.jpg")]
    cells = expression(assay(data(images, cell_line, locations)))
    return entry(antibody(f"HPA{number:06d}", cells), **of_entry)


def large(megabytes: float) -> bytes:
    """Of that size, most of it tissue, with one field in each entry."""
    one = len(field()) + len(tissues(400))
    count = int(megabytes * 1e6 / one) + 1
    return atlas(*(field(at, gene=f"G{at}").replace("</entry>", f"{tissues(400)}</entry>") for at in range(count)))
