// What is wider than its column scrolls in a box of its own; the keyboard reaches such a box too.
function reach() {
  for (const box of document.querySelectorAll(".table-wrapper, .highlight pre, math[display=block], .cell_output > *")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("load", reach);
addEventListener("resize", reach);
