// What the pages do beyond HTML and htmx: strands that glide between updates, a connection that rests while nobody
// looks, and buttons that copy. Without it, everything is still there.
'use strict'
;(() => {
  const still = matchMedia('(prefers-reduced-motion: reduce)')
  let since = performance.now()

  // The server draws five times a second; in between, time moves the drawing to the left.
  function glide(now) {
    const drawings = document.querySelectorAll('.strands')
    if (!drawings.length) return
    for (const drawing of still.matches ? [] : drawings) {
      const windowMs = Number(drawing.dataset.window)
      const left = Math.min(now - since, 3000) * (1000 / windowMs)
      drawing.querySelector('.moving')?.setAttribute('transform', `translate(${-left.toFixed(1)} 0)`)
    }
    requestAnimationFrame(glide)
  }
  requestAnimationFrame(glide)

  let source = null
  const says = (text) => {
    const link = document.getElementById('link')
    if (link) link.textContent = text
  }
  document.addEventListener('htmx:sseOpen', (event) => {
    source = event.detail.source
    says('')
  })
  document.addEventListener('htmx:sseError', () => says('Not connected; trying again …'))
  // A part with the focus in it, or under a selection, stays as it is until that is over.
  function isHeld(part) {
    const selected = getSelection()
    return part.contains(document.activeElement) || (!selected.isCollapsed && part.contains(selected.anchorNode))
  }
  document.addEventListener('htmx:sseBeforeMessage', (event) => {
    if (isHeld(event.target)) event.preventDefault()
    else if (event.target.querySelector(':scope > .lanes')) since = performance.now()
  })

  // A browser opens few connections to one host, and a hidden page needs none.
  document.addEventListener('visibilitychange', () => {
    const live = document.getElementById('live')
    if (!live) return
    if (document.hidden) {
      source?.close()
      source = null
    } else if (!source) {
      const again = live.cloneNode(true)
      live.replaceWith(again)
      htmx.process(again)
    }
  })

  // Where the node keeps no ABI, the browser does, until it is closed.
  for (const form of document.querySelectorAll('form.abi[data-session]')) {
    const field = form.elements.abi
    field.value ||= sessionStorage.getItem(form.action) ?? ''
    form.addEventListener('submit', () => {
      try { sessionStorage.setItem(form.action, field.value) } catch { /* there is no room: it is typed again */ }
    })
  }

  for (const button of document.querySelectorAll('.copy')) {
    button.hidden = !navigator.clipboard
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(button.previousElementSibling.textContent)
      button.textContent = 'copied'
      setTimeout(() => { button.textContent = 'copy' }, 1500)
    })
  }
})()
