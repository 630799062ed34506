// Without this every table is whole, only neither sorted nor filtered: every word is there before it runs.
const key = (row, at) => row.cells[at].dataset.value ?? row.cells[at].textContent.trim();
const empty = value => value === '' || value === '–';
for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  for (const head of heads) {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => {
      const up = head.getAttribute('aria-sort') !== 'ascending', at = head.cellIndex;
      for (const other of heads) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const compare = (a, b) => {
        if (empty(a) || empty(b)) return empty(a) - empty(b);
        const order = isNaN(a) || isNaN(b) ? String(a).localeCompare(b) : a - b;
        return up ? order : -order;
      };
      body.append(...[...body.rows].sort((a, b) => compare(key(a, at), key(b, at))));
    };
  }
  const label = table.closest('.filtered')?.querySelector('label');
  if (!label) continue;
  label.hidden = false;
  const box = label.querySelector('input'), count = label.querySelector('output');
  const texts = new Map([...body.rows].map(row => [row, row.textContent.toLowerCase()]));
  box.oninput = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const [row, text] of texts) row.hidden = !words.every(word => text.includes(word));
    const shown = [...texts.keys()].filter(row => !row.hidden).length;
    count.value = words.length ? `${shown} of ${texts.size} rows` : '';
  };
}
