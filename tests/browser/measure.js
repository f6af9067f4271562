// How long the page is busy at a stretch, and how long a person waits for what a click does.
window.gaps = [];
window.clicks = [];
let last = performance.now();
setInterval(() => { const now = performance.now(); gaps.push(now - last); last = now; }, 5);
setInterval(() => {  // what a person does: presses a button, and sees that something changes
    const begun = performance.now();
    const button = document.querySelector('.pane .view-menu label:nth-of-type(3) input'); // times
    button?.click();
    if (button) requestAnimationFrame(() => clicks.push(performance.now() - begun));
}, 100);
0
