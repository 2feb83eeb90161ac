// Runs before anything is drawn, so that a chosen theme never flashes: hence no module.
(() => {
  const NAME = "pacewheel-theme";
  const root = document.documentElement;

  function apply(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }

  function stored() {
    try {
      return localStorage.getItem(NAME);
    } catch {
      return null; // storage is off: the system's choice holds
    }
  }

  window.pacewheelTheme = {
    get: () => root.dataset.theme ?? "auto",
    set(theme) {
      apply(theme);
      try {
        localStorage.setItem(NAME, theme);
      } catch {
        // as above: the choice holds until the page is left
      }
      window.dispatchEvent(new Event("themechange"));
    },
  };
  apply(stored());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    window.dispatchEvent(new Event("themechange")),
  );
})();
