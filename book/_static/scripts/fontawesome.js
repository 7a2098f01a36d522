// On purpose empty: it takes the place of the theme's file of the same name, which
// brings 1.4 MB of icons as drawings. The theme's style sheet has the same icons as
// a font, and that is what the pages use.
