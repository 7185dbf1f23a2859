package snippet
