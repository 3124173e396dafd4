import{D as r,F as s,ba as n}from"./chunk-G62524GU.js";var i={"+":"plus","-":"minus","!":"bang",">":"bang"},f=({text:a})=>r({class:"diff",tabIndex:0},String(a??"").trimEnd().split(`
`).map((t,p)=>s({key:p,class:i[t.trimStart()[0]]??""},`${n(t)}
`)));export{f as a};
