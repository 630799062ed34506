// Without this the table is whole, only not sorted: every word is there before it runs.
const table = document.getElementById('cells'), body = table.tBodies[0];
const box = document.getElementById('trusted');
box.parentElement.hidden = false;
box.onchange = () => { for (const row of body.rows) row.hidden = box.checked && row.dataset.trust === 'no'; };
for (const head of table.tHead.rows[0].cells) {
  const button = document.createElement('button');
  button.append(...head.childNodes);
  head.append(button);
  button.onclick = () => {
    const up = head.getAttribute('aria-sort') !== 'ascending', at = head.cellIndex;
    for (const other of head.parentElement.cells) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const key = row => row.cells[at].dataset.value ?? row.cells[at].textContent;
    const compare = (a, b) => {
      if (a === '' || b === '') return (a === '') - (b === '');
      const order = isNaN(a) || isNaN(b) ? String(a).localeCompare(b) : a - b;
      return up ? order : -order;
    };
    body.append(...[...body.rows].sort((a, b) => compare(key(a), key(b))));
  };
}
