import js from "@eslint/js";

export default [
    { ignores: ["node_modules/"] },
    js.configs.recommended,
    {
        files: ["src/**/*.js"],
        languageOptions: { ecmaVersion: 2023, sourceType: "script" },
        rules: {
            // The files are one script: what a name means is checked by the types.
            "no-undef": "off",
            "no-unused-vars": ["error", { vars: "local" }],
            "no-implicit-globals": "off",
            eqeqeq: "error",
            curly: "error",
            "no-var": "error",
            "prefer-const": "error",
            // Texts of models are hostile: nothing may read them as HTML or as a script.
            "no-restricted-properties": [
                "error",
                ...["innerHTML", "outerHTML", "insertAdjacentHTML", "write", "writeln", "srcdoc"].map((property) => ({ property, message: "texts become text nodes, see base/dom.js" })),
            ],
            "no-eval": "error",
            "no-implied-eval": "error",
            "no-new-func": "error",
        },
    },
    { files: ["tests/**/*.mjs", "*.mjs"], languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: { requestAnimationFrame: "readonly", HTMLAnchorElement: "readonly", TextDecoder: "readonly", DOMParser: "readonly", MouseEvent: "readonly", Blob: "readonly", atob: "readonly", process: "readonly", console: "readonly", performance: "readonly", URL: "readonly", setTimeout: "readonly", document: "readonly", window: "readonly", location: "readonly", fetch: "readonly", Buffer: "readonly", getComputedStyle: "readonly" } } },
];
